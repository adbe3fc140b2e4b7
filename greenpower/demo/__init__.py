"""A demonstration: a year of a small site, made at once, and removed again."""
