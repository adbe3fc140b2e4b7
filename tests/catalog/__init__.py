"""Tests of registry and site file."""
