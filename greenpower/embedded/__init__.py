"""The embedded stack: mongod, Valkey and broker without Docker or root, and the supervisor of `greenpower up`.

Knows processes and ports, nothing of readings. Imported by `greenpower.commands` and by the tests.
"""
