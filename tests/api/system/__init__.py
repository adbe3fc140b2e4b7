"""Tests of health and documentation."""
