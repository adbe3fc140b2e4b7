"""Tests of consumption and incidents."""
