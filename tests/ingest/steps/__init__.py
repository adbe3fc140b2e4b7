"""Tests of the steps of a batch."""
