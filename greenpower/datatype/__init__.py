"""The plugin API: everything that the author of a data type imports.

What belongs here: declarations, frames, readings, parsers, and the checks for all data types. All of it is pure. It
uses orjson (docs/decisions/0001) and the standard library only. What does not: finding plugins (`greenpower.catalog`).
"""

from typing import Any

from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.datatype.claim import Dialogue, Http, Mqtt, Tcp, is_device_id
from greenpower.datatype.command import Answer, Command, Message, Order, Parameter, ReadBack, SimulatedResponse
from greenpower.datatype.declaration import DataType, Parser
from greenpower.datatype.deprecated import warn_renamed
from greenpower.datatype.dialled import Dialled
from greenpower.datatype.electrical import Electrical
from greenpower.datatype.error import DeclarationError, FrameError
from greenpower.datatype.field import ON_OFF, Field, normalise
from greenpower.datatype.frame import Frame, Noted, Reading
from greenpower.datatype.json import decode_object
from greenpower.datatype.json_command import JsonCommand, JsonCommandFormat
from greenpower.datatype.json_parser import json_parser, read_device_id
from greenpower.datatype.json_wire import json_wire
from greenpower.datatype.kind import ENERGY_KINDS, Kind
from greenpower.datatype.metered import Metered
from greenpower.datatype.stamp import parse_epoch, parse_stamp, parse_time
from greenpower.datatype.tier import ENERGY_TIERS, NO_TIERS, STANDARD_TIERS, Retention, Tier
from greenpower.datatype.unit import UNITS, UnitOfMeasure
from greenpower.datatype.value import ValueParser, value_parser
from greenpower.datatype.wire import Model, Sample, Wire, decimals_of

__all__ = [
    "ENERGY_KINDS",
    "ENERGY_TIERS",
    "NO_TIERS",
    "ON_OFF",
    "STANDARD_TIERS",
    "UNITS",
    "Answer",
    "Carrier",
    "Command",
    "DataType",
    "DeclarationError",
    "Dialled",
    "Dialogue",
    "Electrical",
    "Field",
    "Frame",
    "FrameError",
    "Http",
    "JsonCommand",
    "JsonCommandFormat",
    "Kind",
    "Message",
    "Metered",
    "Model",
    "Mqtt",
    "Noted",
    "Order",
    "Parameter",
    "Parser",
    "PointRole",
    "ReadBack",
    "Reading",
    "Retention",
    "Sample",
    "SimulatedResponse",
    "Tcp",
    "Tier",
    "UnitOfMeasure",
    "ValueParser",
    "Wire",
    "decimals_of",
    "decode_object",
    "is_device_id",
    "json_parser",
    "json_wire",
    "normalise",
    "parse_epoch",
    "parse_stamp",
    "parse_time",
    "read_device_id",
    "value_parser",
]

# Renamed after 0.1; the old names are removed in 0.3.
RENAMED = {"JsonDialect": "JsonCommandFormat", "Obedience": "SimulatedResponse", "Phrase": "JsonCommand"}


def __getattr__(name: str) -> Any:
    """The object for an old name."""
    if name not in RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_renamed(name, RENAMED[name])
    return globals()[RENAMED[name]]
