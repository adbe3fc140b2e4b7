"""Tests of energy between boundaries."""
