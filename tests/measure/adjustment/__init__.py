"""Tests of adjustments."""
