"""Checks of the values that come out of Redis: a bad one is found here, before it reaches the code that serves clients.

Redis is shared: it may hold values of an older release, of another program, or written by hand.
"""

from __future__ import annotations

from datetime import datetime

import orjson

from greenpower.bus.message import STAMP_LENGTH, TIMES, Message, read_latest


class BadValue(Exception):
    """A value cannot be used. The text says why, in a word or two."""


def parse(text: bytes) -> object:
    """Any JSON. Raises BadValue."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadValue("not JSON") from None


def stored_reading(type_name: str, device: bytes, value: bytes) -> Message:
    """A newest reading as Redis keeps it under its device's id. Raises BadValue."""
    try:
        found = read_latest(value)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise BadValue("parts that do not fit") from None
    if found is None:
        raise BadValue("not JSON")
    return _of_device(check_reading(type_name, found), device)


def stored_status(type_name: str, device: bytes, value: bytes) -> Message:
    """A status as Redis keeps it under its device's id. Raises BadValue."""
    found = _of_device(check_status(parse(value)), device)
    if found["type"] != type_name:
        raise BadValue("another type's")
    return found


def check_reading(type_name: str, value: object) -> Message:
    """A reading message of a type, else BadValue."""
    if not isinstance(value, dict):
        raise BadValue("not an object")
    if value.get("type") != type_name:
        raise BadValue("another type's")
    if not isinstance(value.get("device_id"), str):
        raise BadValue("no device")
    if not isinstance(value.get("payload"), dict):
        raise BadValue("no payload")
    if not _is_stamp(value.get("timestamp")):
        raise BadValue("no time")
    times = value.get(TIMES, {})
    if not isinstance(times, dict) or not all(map(_is_stamp, times.values())):
        raise BadValue("bad times of fields")
    return value


def check_status(value: object) -> Message:
    """A status message, else BadValue."""
    if not isinstance(value, dict):
        raise BadValue("not an object")
    if not isinstance(value.get("type"), str) or not isinstance(value.get("device_id"), str):
        raise BadValue("no device")
    if not isinstance(value.get("status"), str | None):
        raise BadValue("no status")
    if value.get("since") is not None and not _is_stamp(value["since"]):
        raise BadValue("no time")
    return {"status": None, "since": None, **value}


def check_alarm(value: object) -> Message:
    """An alarm message, else BadValue."""
    if not isinstance(value, dict):
        raise BadValue("not an object")
    if not isinstance(value.get("id"), str) or not isinstance(value.get("event"), str):
        raise BadValue("no event")
    if not isinstance(value.get("type"), str | None) or not isinstance(value.get("device_id"), str | None):
        raise BadValue("no subject")
    return value


def check_list(value: object) -> list[object]:
    """A list, else BadValue."""
    if not isinstance(value, list):
        raise BadValue("not a list")
    return value


def _of_device(message: Message, device: bytes) -> Message:
    if message["device_id"].encode("utf-8", "replace") != device:
        raise BadValue("another device's")
    return message


def _is_stamp(value: object) -> bool:
    """Whether it is a time that compares as text with the others."""
    if not isinstance(value, str) or len(value) != STAMP_LENGTH or not value.endswith("Z"):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
