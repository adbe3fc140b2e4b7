"""Devices as MongoDB knows them: settings for ingest, clocks, when each was heard, status, answers to commands."""
