"""The outbox: messages to people, kept until they are sent, and for a time after that.

What belongs here: the document's shape and every query about it. What does not: sending (`greenpower.notify`).
"""
