"""Pushing values to dashboards: publisher, Socket.IO gateway, presence."""
