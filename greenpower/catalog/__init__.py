"""Which data types there are: the registry, the site file, and the facts derived from a declaration.

What belongs here: finding plugins, what a site file changes in them, names and addresses that follow from them. What
does not: the resource of a type (`greenpower.api.telemetry`), the plugin API itself (`greenpower.datatype`).
"""
