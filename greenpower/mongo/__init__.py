"""MongoDB: clients, layout (collections, indexes, retention), and every query that the rest of greenpower makes.

What belongs here: whatever speaks to MongoDB. What does not: what numbers mean (`greenpower.measure`).
"""
