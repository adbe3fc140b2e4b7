"""The tests. Modules mirror those of `greenpower` and `plugins`."""
