"""Files that were uploaded to be imported, and what became of them.

What belongs here: their documents and queries. What does not: reading the files (`greenpower.importing`).
"""
