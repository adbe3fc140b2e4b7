"""The layout of the database: collections, indexes, retention, compression and sharding."""
