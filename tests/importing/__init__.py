"""Tests of `greenpower.importing`."""
