"""Background jobs: what RQ runs, and when.

What belongs here: one entry for each job, and its schedule. What does not: how a tier is computed
(`greenpower.rollups`), how a command is sent (`greenpower.control`).
"""
