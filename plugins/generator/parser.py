"""`{"data":[{"tp":epoch milliseconds,"point":[{"id":0,"val":"DEVICE"},{"id":1,"val":229.8}, …]}, …]}` to readings."""

from collections.abc import Iterator
from typing import Any

from greenpower.datatype import Frame, FrameError, Reading, decode_object, parse_epoch, read_device_id

DEVICE_POINT = "0"
MAX_POINT_NUMBER = 999_999


def parse(frame: Frame) -> tuple[Reading, ...]:
    """Readings of a frame. Raises FrameError: bad-shape, bad-time, bad-point, duplicate-point, bad-id, JSON errors."""
    samples = _objects(decode_object(frame.payload).get("data"), "data")
    if readings := tuple(_reading(sample, frame.device) for sample in samples):
        return readings
    raise FrameError("no-values", "data is empty")


def _reading(sample: dict[str, Any], device: str | None) -> Reading:
    stamp = parse_epoch(sample.get("tp"))
    values: dict[str, Any] = {}
    for point in _objects(sample.get("point"), "point"):
        key = _number(point.get("id"))
        if key in values:
            raise FrameError("duplicate-point", key)
        values[key] = point.get("val")
    return Reading(device_id=read_device_id(values.pop(DEVICE_POINT, None), device), values=values, stamp=stamp)


def _objects(value: object, name: str) -> Iterator[dict[str, Any]]:
    if not isinstance(value, list):
        raise FrameError("bad-shape", f"{name} is a {type(value).__name__}, not a list")
    for item in value:
        if not isinstance(item, dict):
            raise FrameError("bad-shape", f"{name} has a {type(item).__name__} that should be an object")
        yield item


def _number(value: object) -> str:
    """The number of a point as text without leading zeros. Raises FrameError bad-point."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 6:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_POINT_NUMBER:
        raise FrameError("bad-point", f"{value!a}"[:80])
    return str(value)
