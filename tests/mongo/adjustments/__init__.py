"""Tests of kept adjustments."""
