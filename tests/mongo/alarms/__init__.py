"""Alarms in MongoDB: writes that may come twice, and what a round keeps."""
