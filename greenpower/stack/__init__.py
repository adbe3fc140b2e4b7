"""The embedded stack: mongod, Valkey and broker without Docker or root, and the supervisor of `greenpower up`.

Knows processes and ports, nothing of readings.
"""

from greenpower.stack.error import EmbeddedError
from greenpower.stack.mongod import Mongod
from greenpower.stack.mosquitto import Mosquitto
from greenpower.stack.part import Part
from greenpower.stack.valkey import Valkey

__all__ = ["EmbeddedError", "Mongod", "Mosquitto", "Part", "Valkey"]
