"""Commands to devices: who may give one, how it gets to the broker, and what an answer changes.

What belongs here: what the API and the worker share of it. What does not: what a command is (`greenpower.datatype`),
its rows (`greenpower.sql.device_command`), when the worker runs (`greenpower.jobs.commands`).
"""
