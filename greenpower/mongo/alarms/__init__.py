"""Alarms as they are stored: their documents, writing transitions, lists, and how far rules were judged."""
