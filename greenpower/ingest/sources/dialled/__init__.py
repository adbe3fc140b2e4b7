"""Devices that we connect to."""
