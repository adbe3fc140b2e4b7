"""MongoDB: clients, layout (collections, indexes, retention), and every query that the rest of greenpower makes.

Nothing outside this package calls pymongo. Imported by api, ingest and jobs.
"""
