"""Alarms: their rules, silences, and what happened."""
