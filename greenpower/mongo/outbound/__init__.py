"""How far each outbound target has been served.

What belongs here: the document's shape and every query about it. What does not: sending (`greenpower.outbound`), the
targets (`greenpower.sql.outbound_target`).
"""
