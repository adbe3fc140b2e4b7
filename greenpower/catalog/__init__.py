"""Which data types there are: the registry, the site file, and the facts derived from a declaration.

What belongs here: finding plugins, what a site changes of them, names of collections, jobs and rooms. What does not:
the blueprint of a type (`greenpower.api.telemetry`), the plugin API itself (`greenpower.datatype`).
"""
