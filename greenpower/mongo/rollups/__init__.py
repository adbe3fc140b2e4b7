"""Tiers: writing buckets, invalidations, watermarks, and reading rows at any resolution."""
