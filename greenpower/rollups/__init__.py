"""Rollups: running the tiers, from what is stored to what is due.

What belongs here: when and from what buckets are computed. What does not: what their numbers are
(`greenpower.measure`), how they are stored (`greenpower.mongo`), when a run starts (`greenpower.jobs`).
"""
