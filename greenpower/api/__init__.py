"""The REST API: one module per resource.

What belongs here: routes, schemas, who may call. What does not: queries (`greenpower.mongo`, `greenpower.sql`), sending
commands (`greenpower.control`).
"""
