"""Users, devices and zones in SQL, on SQLite and on PostgreSQL."""
