"""Devices, the commands they are given, and service zones."""
