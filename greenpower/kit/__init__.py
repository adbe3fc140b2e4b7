"""The plugin kit: for people who write data types.

What belongs here: new plugins from templates, the rules for all plugins, and the result of a frame, without servers.
What does not: the commands that print it (`greenpower.cli`). It may import every layer below the application.
"""
