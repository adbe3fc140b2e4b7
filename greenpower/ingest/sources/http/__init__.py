"""Frames that are pushed over HTTP: one request, one frame or several."""
