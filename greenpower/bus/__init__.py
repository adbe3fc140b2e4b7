"""What the processes tell each other through Redis: newest values and statuses.

What belongs here: the keys, the messages, and the writing of them. What does not: who listens
(`greenpower.realtime`), and anything that must not be lost: Redis may be emptied at any time, all of this is made again
from the databases.
"""
