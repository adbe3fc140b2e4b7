"""Measuring: windows, the state of each kind, how states are made from samples and merged. Pure: no input, no output.

What belongs here: everything that says what a bucket's numbers are. What does not: where readings come from and where
buckets go (`greenpower.mongo`), when they are computed (`greenpower.rollups`).
"""
