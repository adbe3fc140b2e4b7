"""The dashboard page: its source, what it builds to, and the blueprint that serves it.

What the page shows it asks the API and the gateway for, as any client does.
"""
