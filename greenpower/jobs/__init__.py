"""Background jobs: rollups, their schedule, and what RQ runs of them.

What belongs here: when and from what buckets are computed. What does not: what their numbers are (`greenpower.measure`),
how they are stored (`greenpower.mongo`). Imported by binding and commands.
"""
