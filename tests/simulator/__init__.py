"""Simulated devices: that they speak the wire formats, and that ingest stores what they send."""
