"""The stack on one machine: mongod, Valkey and broker without Docker or root, and the supervisor of `greenpower up`.

What belongs here: processes and ports. What does not: readings. A part that cannot be had, does not start or finds its
home or port taken raises ConfigError, which names the setting to change.
"""

from greenpower.stack.mongod import Mongod
from greenpower.stack.mosquitto import Mosquitto
from greenpower.stack.part import Part
from greenpower.stack.valkey import Valkey

__all__ = ["Mongod", "Mosquitto", "Part", "Valkey"]
