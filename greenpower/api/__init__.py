"""The REST API: one module a resource.

What belongs here: routes, schemas, who may call. What does not: queries (`greenpower.mongo`, `greenpower.sql`), the
way of a command (`greenpower.control`).
"""
