"""Tests of what processes tell each other through Redis."""
