"""The dashboard page: its source and what it builds to."""
