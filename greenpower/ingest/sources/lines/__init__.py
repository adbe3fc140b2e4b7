"""Lines of JSON over TCP."""
