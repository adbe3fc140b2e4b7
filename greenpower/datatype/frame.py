"""Frames and readings: what goes into a parser and what comes out. Plain records, made by the million."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(slots=True, kw_only=True)
class Frame:
    """One message as received.

    topic: MQTT topic, or `tcp/<type>/<gateway>`. payload: the bytes. device: the id from the claim or the gateway's
    registration, for frames that name none. received_at: arrival, UTC.
    """

    topic: str
    payload: bytes
    device: str | None = None
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(slots=True, kw_only=True)
class Reading:
    """What a parser found in a frame: one device's values at one time.

    values: key as sent -> value as sent; the core maps keys to fields, leaves out what is no finite number or out of
    range, and notes it. device_id: None where the frame names none and has no default; the core then looks for a part
    of the same topic and stamp that does. stamp: the device's own, aware, or naive in the device's zone; None where it
    sends none (time of arrival). complete: whether the device says that nothing more of this reading comes.
    """

    device_id: str | None
    values: dict[str, Any]
    stamp: datetime | None = None
    complete: bool = True
