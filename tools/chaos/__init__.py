"""Chaos: parts killed at random moments, and the end state held against the plain truth. `python -m tools.chaos`."""
