"""Tests of `greenpower.api.notifications`."""
