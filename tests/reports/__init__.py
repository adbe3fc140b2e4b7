"""Tests of `greenpower.reports`."""
