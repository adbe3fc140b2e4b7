"""Frames that are pushed over HTTP."""
