"""Energy between boundaries, read from tiers and readings."""
