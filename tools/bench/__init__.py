"""Benchmarks: scripts that print figures, run by `python -m tools.bench` (docs/benchmarks.md). pytest runs none."""
