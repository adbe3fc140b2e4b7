"""Migrations of the SQL database, applied by `greenpower init`. Installed beside `greenpower`, as `plugins` is.

What belongs here: how they run, and in `versions` what each changes. A revision imports nothing of greenpower: what a
model is today says nothing of what it was. Imported by nothing: alembic loads them by their path.
"""
