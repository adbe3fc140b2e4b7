"""The archive: exact columns, runs that are killed, readers that see the same before and after; on a real server."""
