"""Tests of greenpower/outbound."""
