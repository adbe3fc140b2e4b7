"""Frames that are one value: a number, a word or a JSON scalar, of which the topic says which field it is.

What belongs here: from bytes to the value as sent. What does not: which level of a topic is the field (the claim), what
a word means (the field).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import orjson

from greenpower.datatype.check import is_numeral
from greenpower.datatype.error import DeclarationError, FrameError
from greenpower.datatype.field import Field, normalise
from greenpower.datatype.frame import Frame, Noted, Reading
from greenpower.datatype.json import decode_object
from greenpower.datatype.json_path import MISSING, find, parts_of
from greenpower.datatype.stamp import parse_time

MAX_VALUE_BYTES = 4_096
MAX_VALUE_CHARACTERS = 256
#: what devices send while they have no value
NO_VALUES = ("", "null", "none", "nan", "unavailable", "unknown")


class ValueParser:
    """Parser of single values. Made by `value_parser`."""

    def __init__(
        self, *, field: str, value: str | None, time: str | None, absent: Iterable[str], noted: str, noted_text: str
    ) -> None:
        if time is not None and value is None:
            raise DeclarationError("time= is the path of the stamp in a JSON object; give value= as well")
        self.field_level = field
        self.value_path = value
        self.time_path = time
        self.absent = frozenset(text.casefold() for text in absent)
        self.noted = noted
        self.noted_text = noted_text
        self.declared: frozenset[str] = frozenset()

    def for_fields(self, fields: Iterable[Field]) -> ValueParser:
        """This parser for a data type with these fields; itself where these change nothing."""
        if not (self.noted or self.noted_text):
            return self
        declared = frozenset(normalise(source) for field in fields for source in field.sources)
        if declared == self.declared:
            return self
        bound = copy.copy(self)
        bound.declared = declared
        return bound

    def __call__(self, frame: Frame) -> tuple[Reading, ...]:
        key = frame.levels.get(self.field_level)
        if not key:
            raise FrameError("no-field", f"the topic has no level {self.field_level!r}")
        if frame.device is None:
            raise FrameError("no-id", "the topic names no valid device id")
        declared = not (self.noted or self.noted_text) or normalise(key) in self.declared
        if self.noted and not declared:
            return (Noted(self.noted, device_id=frame.device),)
        stamp = None
        if self.value_path is None:
            value = read_value(frame.payload)
        else:
            sent = decode_object(frame.payload)
            value = find(sent, parts_of(self.value_path))
            if isinstance(value, dict | list):
                raise FrameError("not-a-value", f"a JSON {type(value).__name__}")
            time = MISSING if self.time_path is None else find(sent, parts_of(self.time_path))
            if time is not MISSING and time is not None and time != "":
                stamp = parse_time(time)
        if value is None or value is MISSING or (isinstance(value, str) and value.casefold() in self.absent):
            return (Noted("the device has no value", device_id=frame.device),)
        if not declared and (isinstance(value, bool) or (isinstance(value, str) and not is_numeral(value))):
            return (Noted(self.noted_text, device_id=frame.device),)
        return (Reading(device_id=frame.device, values={key: value}, stamp=stamp),)


def read_value(payload: bytes) -> Any:
    """The value in a payload: a number, a boolean or a text; None for null. Raises FrameError: too-long, not-utf8,
    not-a-value (a JSON object or list)."""
    if len(payload) > MAX_VALUE_BYTES:
        raise FrameError("too-long", f"{len(payload)} bytes are no single value")
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            value = payload.decode().strip()
        except UnicodeDecodeError as error:
            raise FrameError("not-utf8", str(error)) from None
    if isinstance(value, dict | list):
        raise FrameError("not-a-value", f"a JSON {type(value).__name__}")
    if isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS:
        raise FrameError("too-long", f"a text of {len(value)} characters")
    return value


def value_parser(
    *,
    field: str = "field",
    value: str | None = None,
    time: str | None = None,
    absent: Iterable[str] = NO_VALUES,
    noted: str = "",
    noted_text: str = "",
) -> ValueParser:
    """A parser for frames that are one value each.

    field: the named level of the topic that is the key of the value. value: where a payload is a JSON object, the path
    of the value in it, such as `value` or `state.power`; None: the payload is the value. time: the path of the stamp
    beside it. absent: texts, in any case, that a device sends while it has no value; such a frame is noted. noted: why
    a frame whose key no field declares is no reading; such a frame is kept as an event with the outcome `noted` instead
    of `rejected`. noted_text: the same only for texts and booleans, for a type that keeps undeclared numbers.
    """
    return ValueParser(field=field, value=value, time=time, absent=absent, noted=noted, noted_text=noted_text)
