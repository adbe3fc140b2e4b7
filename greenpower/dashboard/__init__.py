"""The dashboard page: its source, the built files, and the blueprint that serves them.

The page gets all its data from the API and the gateway, like any other client.
"""
