"""The embedded stack: mongod, Valkey and broker without Docker or root, and the supervisor of `greenpower up`.

Knows processes and ports, nothing of readings. Imported by commands, and by tests.
"""

from greenpower.embedded.error import EmbeddedError
from greenpower.embedded.mongod import Mongod
from greenpower.embedded.mosquitto import Mosquitto
from greenpower.embedded.part import Part
from greenpower.embedded.valkey import Valkey

__all__ = ["EmbeddedError", "Mongod", "Mosquitto", "Part", "Valkey"]
