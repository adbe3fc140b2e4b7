"""Backups: written, checked, loaded, and held against what was there."""
