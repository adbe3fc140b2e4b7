"""Readings: storing batches, fragments that name no device, and the newest reading of each device."""
