"""Replay: rebuilding readings from their events."""
