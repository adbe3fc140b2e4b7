"""Tests of greenpower/api/outbound."""
