"""The plugin kit: for people who write data types.

What belongs here: new plugins from a pattern, the rules that every plugin keeps, and what becomes of a frame, without
servers. What does not: the commands that print it (`greenpower.cli`). It may import whatever lies below the
application.
"""
