"""The parser for frames that are one JSON object, flat or nested. What most makers send needs no other.

What belongs here: from an object to readings. What does not: decoding (`json`), stamps (`stamp`), plausible values
(`check`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from greenpower.datatype.claim import is_device_id
from greenpower.datatype.error import DeclarationError, FrameError
from greenpower.datatype.field import Field, normalise
from greenpower.datatype.frame import Frame, Noted, Reading
from greenpower.datatype.json import decode_object
from greenpower.datatype.json_path import MISSING, TOP, find, is_path, parts_of
from greenpower.datatype.stamp import TIME_FORMS, TimeForm, parse_time

MAX_MESSAGE_ID_CHARACTERS = 200
NO_RENAMING: Mapping[str, Mapping[str, str]] = {}


def read_device_id(given: object, known: str | None) -> str | None:
    """The device id in a frame, or `known` if the frame has none. Raises FrameError bad-id."""
    if given is None or given == "":
        return known
    if not is_device_id(given):
        raise FrameError("bad-id", f"{given!a}"[:80])
    return given


class JsonParser:
    """Parser of JSON objects. Made by `json_parser`; its data type tells it the paths of the fields (`for_fields`)."""

    def __init__(
        self, *, device: str | None, time: str | None, complete: str | None, message_id: str | None,
        ignore: Iterable[str], each: str | None, time_form: TimeForm, noted: str,
        where: Mapping[str, Mapping[str, str]],
    ) -> None:  # fmt: skip
        if time_form not in TIME_FORMS:
            raise DeclarationError(f"time_form={time_form!r}; choose from {', '.join(TIME_FORMS)}")
        self.device_key = device
        self.time_key = time
        self.complete_key = complete
        self.message_key = message_id
        self.ignored = tuple(ignore)
        self.each = each
        self.time_form = time_form
        self.noted = noted
        self.where = {key: dict(renamed) for key, renamed in where.items()}
        self.paths: tuple[str, ...] = ()
        self._declared: frozenset[str] = frozenset()
        self._bind()

    def for_fields(self, fields: Iterable[Field]) -> JsonParser:
        """This parser for a data type with these fields; itself where these change nothing."""
        sources = [source for field in fields for source in field.sources]
        paths = tuple(dict.fromkeys(source for source in sources if is_path(source)))
        declared = frozenset(map(normalise, sources)) if self.noted else self._declared
        if (paths, declared) == (self.paths, self._declared):
            return self
        bound = copy.copy(self)
        bound.paths, bound._declared = paths, declared
        bound._bind()
        return bound

    def _bind(self) -> None:
        self._field_paths = tuple((path, parts_of(path)) for path in self.paths)
        named = [key for key in (self.device_key, self.time_key, self.complete_key, self.message_key) if key]
        # What is no value of its own: the containers that paths lead into, and what the parser's own keys lead to.
        self._entered = frozenset(parts[0] for _, parts in self._field_paths)
        self._passed = frozenset(parts[:end] for _, parts in self._field_paths for end in range(1, len(parts)))
        self._named = frozenset(parts_of(key)[0] for key in (*named, *self.ignored) if not key.startswith(TOP))
        self._nested = bool(self.paths or self.each is not None or self.noted or self.where or any(map(is_path, named)))

    def __call__(self, frame: Frame) -> tuple[Reading, ...]:
        values = decode_object(frame.payload)
        if self._nested:
            return self._read_nested(values, frame.device)
        device = frame.device
        if self.device_key is not None:
            device = read_device_id(values.pop(self.device_key, None), device)
        if device is None:
            raise FrameError("no-id", f"no value under the key {self.device_key!r}, and no device id from the topic")
        stamp = None
        if self.time_key is not None:
            given = values.pop(self.time_key, None)
            if given is not None and given != "":
                stamp = parse_time(given, self.time_form)
        complete = self.complete_key is None or str(values.pop(self.complete_key, "1")) == "1"
        message = None if self.message_key is None else _message_id(values.pop(self.message_key, None))
        for key in self.ignored:
            values.pop(key, None)
        return (Reading(device_id=device, values=values, stamp=stamp, complete=complete, message_id=message),)

    def _read_nested(self, top: dict[str, Any], known: str | None) -> tuple[Reading, ...]:
        """One reading of each child, or of the whole frame. Raises FrameError bad-shape, no-values, bad-id, no-id."""
        found: list[Reading] = []
        for child in self._children(top):
            values = self._values(child)
            if not self.noted or any(
                value is not None and normalise(key) in self._declared for key, value in values.items()
            ):
                found.append(self._reading(values, child, top, known))
        if not found:
            if self.noted:
                return (Noted(self.noted),)
            raise FrameError("no-values", f"{self.each} is empty")
        return tuple(found)

    def _children(self, top: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if self.each is None:
            yield top
            return
        within = find(top, parts_of(self.each))
        if within is MISSING and self.noted:
            return
        if not isinstance(within, list | dict):
            what = "missing" if within is MISSING else f"a {type(within).__name__}, not a list or object"
            raise FrameError("bad-shape", f"{self.each} is {what}")
        for child in within.values() if isinstance(within, dict) else within:
            if not isinstance(child, dict):
                raise FrameError("bad-shape", f"{self.each} has a {type(child).__name__} that should be an object")
            yield child

    def _values(self, child: dict[str, Any]) -> dict[str, Any]:
        """What a child sends: its own plain keys, and under their paths the values that fields declare."""
        values = {
            key: value
            for key, value in child.items()
            if key not in self._named and not (key in self._entered and type(value) in (dict, list))
        }
        for path, parts in self._field_paths:
            value = find(child, parts)
            # `ENERGY.Power` is a number in one model, and a list in which other paths go on in another.
            if value is not MISSING and not (type(value) in (dict, list) and parts in self._passed):
                values[path] = value
        for key, renamed in self.where.items():
            if key in values:
                values = {renamed.get(name, name): value for name, value in values.items()}
        return values

    def _reading(
        self, values: dict[str, Any], child: dict[str, Any], top: dict[str, Any], known: str | None
    ) -> Reading:
        device = read_device_id(_at(child, top, self.device_key), known)
        if device is None:
            raise FrameError("no-id", f"no value under {self.device_key!r}, and no device id from the topic")
        time = _at(child, top, self.time_key)
        complete = _at(child, top, self.complete_key)
        return Reading(
            device_id=device,
            values=values,
            stamp=None if time is None or time == "" else parse_time(time, self.time_form),
            complete=complete is None or str(complete) == "1",
            message_id=_message_id(_at(child, top, self.message_key)),
        )


def _at(child: dict[str, Any], top: dict[str, Any], path: str | None) -> Any:
    """What a path of the parser leads to, from the child or from the top of the frame; None if nothing is there."""
    if path is None:
        return None
    found = find(top, parts_of(path[len(TOP) :])) if path.startswith(TOP) else find(child, parts_of(path))
    return None if found is MISSING else found


def _message_id(given: object) -> str | None:
    """A message id as text; None where there is none, or none that is text or a whole number."""
    if type(given) is int or (isinstance(given, str) and given):
        return str(given)[:MAX_MESSAGE_ID_CHARACTERS]
    return None


def json_parser(
    *,
    device: str | None = None,
    time: str | None = None,
    complete: str | None = None,
    message_id: str | None = None,
    ignore: Iterable[str] = (),
    each: str | None = None,
    time_form: TimeForm = "auto",
    noted: str = "",
    where: Mapping[str, Mapping[str, str]] = NO_RENAMING,
) -> JsonParser:
    """A parser for frames that are one JSON object.

    device, time, complete: the keys of the device id, of the stamp, and of the flag that is "1" in the last packet of a
    reading; None if devices send none. message_id: the key of what tells a message from all others of its device, text
    or a whole number. ignore: keys that are not values. All other keys are values.

    A key with dots is a path into nested objects and lists, here and in `Field(source=)`: `ENERGY.Total`,
    `emeters.0.power`. Of an object that a path leads into, only what is declared is a value.

    each: the path of a list or object of objects, each of which is a reading; then all paths begin at such a child, and
    those that begin with `$.` at the top of the frame. time_form: how the time is counted, as in `parse_time`; `auto`
    tells the forms apart. noted: why a frame (or child) with none of the declared values is no reading; such a frame is
    kept as an event with the outcome `noted` instead of `rejected`. where: keys that mean something else in a frame (or
    child) with another key: `{"battery": {"voltage": "battery_voltage"}}`. Raises DeclarationError.
    """
    return JsonParser(
        device=device, time=time, complete=complete, message_id=message_id, ignore=ignore, each=each,
        time_form=time_form, noted=noted, where=where,
    )  # fmt: skip
