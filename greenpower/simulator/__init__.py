"""Devices that speak the real wire formats, made from the same DataTypes that ingest reads them with."""
