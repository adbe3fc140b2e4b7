"""The messages: a reading and a status as everybody sees them, and how a reading is kept as text in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

Message = dict[str, Any]

# `2026-01-26T12:00:00.000Z`: of one length, so that texts compare as times do.
STAMP_LENGTH = 24
TIMES = "times"


def stamp(time: datetime) -> str:
    """A time as messages have it: ISO 8601, UTC, milliseconds, `Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def reading_message(
    type_name: str,
    device_id: str,
    timestamp: datetime,
    received_at: datetime,
    payload: dict[str, Any],
    times: Mapping[str, datetime] | None = None,
) -> Message:
    """`{type, device_id, timestamp, received_at, payload, times?}`; times as `stamp` gives them, payload {field:
    number}. times: of types whose values come one by one, those of the fields that are older than the reading."""
    message = {
        "type": type_name,
        "device_id": device_id,
        "timestamp": stamp(timestamp),
        "received_at": stamp(received_at),
        "payload": payload,
    }
    if times is not None:
        message[TIMES] = {name: stamp(time) for name, time in times.items()}
    return message


def status_message(document: dict[str, Any]) -> Message:
    """`{type, device_id, status, since, last_heard, last_reading}` of a device seen; a time is null where unknown."""
    return {
        "type": document["type"],
        "device_id": document["device_id"],
        "status": document.get("status"),
        "since": _stamp_of(document.get("status_since")),
        "last_heard": _stamp_of(document.get("last_heard")),
        "last_reading": _stamp_of(document.get("last_reading")),
    }


def _stamp_of(time: datetime | None) -> str | None:
    return None if time is None else stamp(time)


def merge_readings(old: Message, new: Message) -> Message:
    """Two parts of one reading: the first value of a key stays, as in MongoDB; keys are in the order they came in."""
    if TIMES in old or TIMES in new:
        return merge_values(old, new)
    payload = dict(old["payload"])
    for name, value in new["payload"].items():
        payload.setdefault(name, value)
    return {**old, "payload": payload}


def merge_values(old: Message, new: Message) -> Message:
    """Two messages of a type whose values come one by one: the newest value of each field, and when it was sent."""
    late, early = (new, old) if new["timestamp"] > old["timestamp"] else (old, new)
    payload, times = dict(late["payload"]), dict(late.get(TIMES, {}))
    for name, value in early["payload"].items():
        time = early.get(TIMES, {}).get(name, early["timestamp"])
        if name not in payload or time > times.get(name, late["timestamp"]):
            payload[name] = value
            times.pop(name, None)
            if time != late["timestamp"]:
                times[name] = time
    received = max(old["received_at"], new["received_at"])
    return {**late, "received_at": received, "payload": payload, TIMES: times}


def newer(old: Message | None, new: Message) -> Message | None:
    """What to keep of a device when `new` comes: it, both together, or None where it is late and changes nothing."""
    if old is None:
        return new
    if TIMES in new:
        merged = merge_values(old, new)
        return None if merged == old else merged
    if new["timestamp"] > old["timestamp"]:
        return new
    if new["timestamp"] < old["timestamp"]:
        return None
    merged = merge_readings(old, new)
    return None if merged["payload"] == old["payload"] else merged


def read_stamp(value: bytes) -> datetime | None:
    """The time of a newest reading as Redis keeps it; None where it does not begin with a stamp."""
    try:
        at = datetime.fromisoformat(value[:STAMP_LENGTH].decode("ascii"))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def read_latest(value: bytes) -> Message | None:
    """A newest reading as Redis keeps it; None where the value is none of ours."""
    found: Message | None = None
    for line in value[STAMP_LENGTH:].split(b"\n"):
        try:
            part = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        found = part if found is None else merge_readings(found, part)
    return found
