"""Meters whose data names its values by numbers that a birth gives: a small data type with sessions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from greenpower.catalog.registry import Registry
from greenpower.datatype import (
    DataType,
    Field,
    Frame,
    FrameError,
    Kind,
    Mqtt,
    Noted,
    Reading,
    decode_object,
    parse_epoch,
)
from greenpower.ingest.arrival import Arrival

#: two minutes ago: all of it is in the past
BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)


def parse(frame: Frame) -> tuple[Reading, ...]:
    """A birth, with values beside it, or data by the numbers of the session that was in force when it was sent."""
    if frame.topic.endswith("/death"):
        return (Noted("death", device_id=frame.device, alive=False),)
    body = decode_object(frame.payload)
    sent = parse_epoch(body["ts"]) if "ts" in body else None
    numbered = body.get("values", {})
    if frame.topic.endswith("/birth"):
        names = body["names"]
        note = Noted("birth", device_id=frame.device, session={"names": names}, since=sent)
        readings: tuple[Reading, ...] = (note,)
    else:
        session = frame.session_at(sent) if sent is not None else frame.session
        if session is None or not numbered.keys() <= session["names"].keys():
            raise FrameError("no-session", "no birth says what these numbers are")
        names, readings = session["names"], ()
    values = {names[number]: value for number, value in numbered.items()}
    if values:
        readings = (*readings, Reading(device_id=frame.device, values=values, stamp=sent))
    return readings


DATATYPE = DataType(
    name="numbered",
    title="Meters with numbered values",
    endpoint="numbered-data",
    collection="numbered_data",
    match=tuple(Mqtt(f"numbered/{{device}}/{kind}") for kind in ("birth", "data", "death")),
    fields=(
        Field("power", unit="kW"),
        Field("energy", unit="kWh", kind=Kind.COUNTER, greatest_rate=100),
    ),
    parse=parse,
    open=False,
    sessions=True,
)
REGISTRY = Registry.of(DATATYPE)


def at(seconds: float) -> datetime:
    """A time of the test."""
    return BASE + timedelta(seconds=seconds)


def _arrival(topic: str, body: dict[str, Any], arrived: float, sent: float | None, given: dict[str, Any]) -> Arrival:
    if sent is not None:
        body["ts"] = round(at(sent).timestamp() * 1000)
    arrival = Arrival(topic=topic, payload=json.dumps(body).encode(), received_at=at(arrived), source="mqtt")
    for name, value in given.items():
        setattr(arrival, name, value)
    return arrival


def birth(
    names: dict[str, str], arrived: float, *, sent: float | None = None, device: str = "M1",
    values: dict[str, float] | None = None, **given: Any,
) -> Arrival:  # fmt: skip
    """A birth that gives numbers to names. arrived, sent: seconds from the base."""
    return _arrival(f"numbered/{device}/birth", {"names": names, "values": values or {}}, arrived, sent, given)


def death(arrived: float, *, device: str = "M1") -> Arrival:
    """What a broker says when a device is gone."""
    return _arrival(f"numbered/{device}/death", {}, arrived, None, {})


def data(
    values: dict[str, float], arrived: float, *, sent: float | None = None, device: str = "M1", **given: Any
) -> Arrival:
    """Values by their numbers."""
    return _arrival(f"numbered/{device}/data", {"values": values}, arrived, sent, given)
