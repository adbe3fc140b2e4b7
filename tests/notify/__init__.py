"""Tests of `greenpower.notify`."""
