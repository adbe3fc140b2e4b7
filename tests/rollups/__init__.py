"""Tests of running tiers, with real databases."""
