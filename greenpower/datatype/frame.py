"""Frames and readings: the input and output of a parser. Plain records without checks, since there are many."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(slots=True, kw_only=True)
class Frame:
    """One message as received.

    topic: MQTT topic, or `tcp/<type>/<gateway>`. payload: the bytes. device: the id from the claim or from the
    gateway's registration, for frames without an id. received_at: time of arrival, UTC.
    """

    topic: str
    payload: bytes
    device: str | None = None
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(slots=True, kw_only=True)
class Reading:
    """The values of one device at one time, as a parser reads them from a frame.

    values: key as sent -> value as sent. The core maps keys to fields, and leaves out and notes values that are no
    finite number or out of range. device_id: None if neither frame nor claim has it; the core then takes it from a
    message with the same topic and stamp. stamp: the device's time, aware, or naive in the device's zone; None if it
    sends none (then the time of arrival counts). complete: whether this is the last packet of the reading, according to
    the device.
    """

    device_id: str | None
    values: dict[str, Any]
    stamp: datetime | None = None
    complete: bool = True
