"""Which processes use the database, and the mark that keeps them from it while a restore replaces the data.

What belongs here: heartbeats, who is alive, the mark of a restore. What does not: loading a backup
(`greenpower.backup`), the state of background jobs (Redis has it).

A process first writes its heartbeat, then reads the mark. A restore first writes the mark, then reads the heartbeats.
So one of the two sees the other.
"""
