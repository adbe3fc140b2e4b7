"""MongoDB: layout, queries and writes, on a real server."""
