"""Ingest as a process, on real servers. `gateway` are gateways that dial in."""
