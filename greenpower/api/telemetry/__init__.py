"""Telemetry: the resource of each data type (lists, newest readings, changes, exports), and the events."""
