"""Recorded frames, sent again at another time: for devices whose wire format is not declared.

What belongs here: which texts in a frame are its time, and the frame of another time. What does not: the forms of
stamps (`stamp_text`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

from greenpower.datatype import DataType, Frame, Noted, Reading
from greenpower.simulator.stamp_text import StampText, stamp_texts

#: two times that no recorded frame has; a text that is the time of a frame takes one of them
PROBES = (datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC))
#: a frame has few stamps; more numbers like them are values
MAX_STAMPS_PER_FRAME = 16


def time_texts(datatype: DataType, frame: Frame) -> tuple[StampText, ...]:
    """The texts in a recorded frame from which the parser reads the stamps of readings; () if it has none."""
    return tuple(
        text
        for text in list(stamp_texts(frame.payload))[:MAX_STAMPS_PER_FRAME]
        if any(_is_read_as(probe, stamp) for probe in PROBES for stamp in _stamps(datatype, frame, text, probe))
    )


def _stamps(datatype: DataType, frame: Frame, text: StampText, at: datetime) -> list[datetime]:
    """The stamps of the readings in a frame with another time; [] if it is rejected then, as where it has a CRC."""
    changed = replace(frame, payload=text.put(frame.payload, text.write(at)))
    return [reading.stamp for reading in readings_of(datatype, changed) if reading.stamp is not None]


def _is_read_as(probe: datetime, stamp: datetime) -> bool:
    """Whether a stamp is a time, in whatever zone it may be read."""
    aware = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
    return abs(aware - probe) <= timedelta(hours=15)


def readings_of(datatype: DataType, frame: Frame) -> list[Reading]:
    """The readings in a frame, without notes; [] if the parser takes it for none, whatever it raises."""
    try:
        return [reading for reading in datatype.parse(frame) if not isinstance(reading, Noted)]
    except Exception:  # a parser is foreign code
        return []


def at_time(payload: bytes, texts: Iterable[StampText], at: datetime, zone: tzinfo) -> bytes:
    """A frame as the device would send it at a time (aware). texts: its `time_texts`; zone: of the device's clock."""
    for text in sorted(texts, key=lambda text: -text.start):  # from the end, since the length may change
        payload = text.put(payload, text.write(at, zone))
    return payload
