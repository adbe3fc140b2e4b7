"""Tests of the device registry."""
