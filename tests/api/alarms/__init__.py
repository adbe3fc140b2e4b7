"""The API of alarms."""
