"""The plugin API: everything that the author of a data type imports.

What belongs here: declarations, frames, readings, parsers, and the checks for all data types. All of it is pure. It
uses orjson (docs/decisions/0001) and the standard library only. What does not: finding plugins (`greenpower.catalog`).
"""

from typing import Any

from greenpower.datatype.claim import Dialogue, Mqtt, Tcp, is_device_id
from greenpower.datatype.command import Answer, Command, Message, Order, Parameter, ReadBack, SimulatedResponse
from greenpower.datatype.declaration import DataType, Parser
from greenpower.datatype.deprecated import warn_renamed
from greenpower.datatype.error import DeclarationError, FrameError
from greenpower.datatype.field import Field, normalise
from greenpower.datatype.frame import Frame, Reading
from greenpower.datatype.json import decode_object, json_parser, read_device_id
from greenpower.datatype.json_command import JsonCommand, JsonCommandFormat
from greenpower.datatype.kind import Kind
from greenpower.datatype.stamp import parse_epoch, parse_stamp
from greenpower.datatype.tier import ENERGY_TIERS, NO_TIERS, STANDARD_TIERS, Retention, Tier
from greenpower.datatype.unit import UNITS
from greenpower.datatype.wire import Model, Sample, Wire, decimals_of, json_wire

__all__ = [
    "ENERGY_TIERS",
    "NO_TIERS",
    "STANDARD_TIERS",
    "UNITS",
    "Answer",
    "Command",
    "DataType",
    "DeclarationError",
    "Dialogue",
    "Field",
    "Frame",
    "FrameError",
    "JsonCommand",
    "JsonCommandFormat",
    "Kind",
    "Message",
    "Model",
    "Mqtt",
    "Order",
    "Parameter",
    "Parser",
    "ReadBack",
    "Reading",
    "Retention",
    "Sample",
    "SimulatedResponse",
    "Tcp",
    "Tier",
    "Wire",
    "decimals_of",
    "decode_object",
    "is_device_id",
    "json_parser",
    "json_wire",
    "normalise",
    "parse_epoch",
    "parse_stamp",
    "read_device_id",
]

# Renamed after 0.1; the old names are removed in 0.3.
RENAMED = {"JsonDialect": "JsonCommandFormat", "Obedience": "SimulatedResponse", "Phrase": "JsonCommand"}


def __getattr__(name: str) -> Any:
    """The object for an old name."""
    if name not in RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_renamed(name, RENAMED[name])
    return globals()[RENAMED[name]]
