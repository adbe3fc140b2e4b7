"""Tests of the plugin API: declarations, parsers, checks. No servers."""
