"""Migrations of the SQL database, applied by `greenpower init`. Installed beside `greenpower`, as `plugins` is."""
