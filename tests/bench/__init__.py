"""Benchmarks: scripts that print figures, run by `python -m tests.bench` (docs/benchmarks.md). pytest runs none."""
