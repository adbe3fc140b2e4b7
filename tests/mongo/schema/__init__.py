"""Tests of the database's layout."""
