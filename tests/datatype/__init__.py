"""The plugin API: declarations, parsers, checks. Nothing is started."""
