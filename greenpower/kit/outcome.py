"""The result of a frame, in the form of a sample's `expected.json`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from greenpower.datatype import DataType, Frame, FrameError, Noted, Reading
from greenpower.datatype.check import Checker, Number
from greenpower.datatype.session import Birth

#: (device, stamp) -> payload
Merged = dict[tuple[str | None, datetime | None], dict[str, Number]]


def frame_of(
    datatype: DataType, topic: str, device: str | None, payload: bytes, births: tuple[Birth, ...] = ()
) -> Frame:
    """A frame as the parser gets it: with the named levels of its topic, and the births of its device."""
    claim = next((claim for claim in datatype.topics if claim.matches(topic)), None)
    levels = {} if claim is None else claim.levels(topic)
    return Frame(topic=topic, payload=payload, device=device, levels=levels, births=births)


def outcomes(
    datatype: DataType, topic: str, device: str | None, payload: bytes, births: tuple[Birth, ...] = ()
) -> list[dict[str, Any]]:
    """The readings and notes (`{"noted": reason}`) in a frame, or one `{"rejected": reason}`."""
    try:
        readings = datatype.parse(frame_of(datatype, topic, device, payload, births))
    except FrameError as error:
        return [{"rejected": error.reason}]
    checker = Checker(datatype)
    return [_outcome(reading, checker) for reading in readings]


def _outcome(reading: Reading, checker: Checker) -> dict[str, Any]:
    if isinstance(reading, Noted):
        return {"noted": reading.reason}
    payload: dict[str, Number] = {}
    left_out: dict[str, str] = {}
    if reading.values or reading.device_id is None:  # one message of a sample may hold only the device id
        try:
            payload, left_out = checker.check(reading.values)
        except FrameError as error:
            return {"rejected": error.reason}
    stamp = reading.stamp.isoformat() if isinstance(reading.stamp, datetime) else None
    found = {"device_id": reading.device_id, "stamp": stamp, "complete": reading.complete, "payload": payload}
    return {**found, "left_out": left_out} if left_out else found


def merged(
    datatype: DataType, device: str | None, frames: Iterable[bytes], topic: str, births: tuple[Birth, ...] = ()
) -> Merged:
    """The payloads of frames: messages of one reading merged, first value of a key kept, rejected frames ignored."""
    checker = Checker(datatype)
    found: Merged = {}
    named: dict[datetime | None, str] = {}
    for payload in frames:
        try:
            for reading in datatype.parse(frame_of(datatype, topic, device, payload, births)):
                if isinstance(reading, Noted):
                    continue
                if reading.device_id is not None:
                    named[reading.stamp] = reading.device_id
                if reading.values:
                    values = checker.check(reading.values)[0]
                    part = found.setdefault((reading.device_id, reading.stamp), {})
                    part.update({name: value for name, value in values.items() if name not in part})
        except FrameError:
            continue
    if datatype.id_in_one_part:
        for _, stamp in [key for key in found if key[0] is None and key[1] in named]:
            found.setdefault((named[stamp], stamp), {}).update(found.pop((None, stamp)))
    return found
