"""Tests of what is kept for tiers."""
