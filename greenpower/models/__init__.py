"""SQLAlchemy models: users, roles, devices, service zones. Imported by api and jobs."""
