"""Telemetry: the resource of each data type, with lists, newest values, changes, exports and events."""
