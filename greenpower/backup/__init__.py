"""Backup: everything in MongoDB and SQL, into a folder of files and back.

What belongs here: the files, the manifest, writing, checking and loading them. What does not: the command
(`greenpower.cli.backup`).
"""
