"""Commands to devices: who may give one, how it gets to the broker, and how an answer moves it on.

What belongs here: what the API and the worker share of it. What does not: what a command is (`greenpower.datatype`),
its rows (`greenpower.sql.device_command`), when the worker looks (`greenpower.jobs.commands`).
"""
