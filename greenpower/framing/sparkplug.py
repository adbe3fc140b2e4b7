"""Sparkplug B payloads: the metrics of a message, as numbers and texts. Source: Eclipse Sparkplug specification 3.0.

    payload   1 timestamp, ms · 2 metric, repeated · 3 seq, 0 … 255 · 4 uuid, text · 5 body, bytes
    metric    1 name, text · 2 alias · 3 timestamp, ms · 4 data type · 5 historical · 6 transient · 7 null
              8 metadata · 9 properties · one value:
              10 int (32 bits) · 11 long (64 bits) · 12 float · 13 double · 14 boolean · 15 text · 16 bytes
              17 data set · 18 template · 19 extension

A payload is a protobuf message (`protobuf`), and so is each metric. Signed integers are in two's complement in an
unsigned field, so the data type says what a number is; messages after a birth leave it out. What belongs here: the
layout, and numbers by their type. What does not: topics, births, and what a metric is called at a site (the plugin).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from greenpower.datatype import FrameError
from greenpower.framing.protobuf import (
    DELIMITED,
    EIGHT_BYTES,
    FOUR_BYTES,
    VARINT,
    ProtobufField,
    protobuf_fields,
)

NOT_SPARKPLUG = "not-sparkplug"
MAX_METRICS = 10_000
MAX_METRIC_NAME_BYTES = 512
MAX_SEQ = 255
FLOAT32, FLOAT64 = struct.Struct("<f"), struct.Struct("<d")
SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
UNSIGNED_BITS = {5: 8, 6: 16, 7: 32, 8: 64}
INT32_BITS, INT64_BITS = 32, 64
#: {field of a metric: what it holds that is not read}
SKIPPED = {16: "bytes", 17: "a data set", 18: "a template", 19: "an extension"}
PAYLOAD_TYPES = {1: VARINT, 2: DELIMITED, 3: VARINT, 4: DELIMITED, 5: DELIMITED}
METRIC_TYPES = {
    1: DELIMITED, 2: VARINT, 3: VARINT, 4: VARINT, 5: VARINT, 6: VARINT, 7: VARINT, 8: DELIMITED, 9: DELIMITED,
    10: VARINT, 11: VARINT, 12: FOUR_BYTES, 13: EIGHT_BYTES, 14: VARINT, 15: DELIMITED, 16: DELIMITED, 17: DELIMITED,
    18: DELIMITED, 19: DELIMITED,
}  # fmt: skip

MetricValue = int | float | bool | str


@dataclass(slots=True, kw_only=True)
class SparkplugMetric:
    """A metric of a message.

    timestamp: epoch milliseconds. datatype: its number; None where the message leaves it out. value: as it is sent, an
    integer without its sign (`typed_value` gives it); None where there is none. bits: of the field of an integer; 0 for
    other values. skipped: what it holds instead of a value, for people.
    """

    name: str = ""
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    is_historical: bool = False
    is_transient: bool = False
    is_null: bool = False
    value: MetricValue | None = None
    bits: int = 0
    skipped: str = ""


@dataclass(slots=True, kw_only=True)
class SparkplugPayload:
    """A message. timestamp: epoch milliseconds. body: its length is all that is kept."""

    timestamp: int | None = None
    metrics: tuple[SparkplugMetric, ...] = ()
    seq: int | None = None
    uuid: str = ""
    body_bytes: int = 0


def decode_payload(data: bytes) -> SparkplugPayload:
    """The message in a frame. Raises FrameError: not-protobuf, not-sparkplug."""
    payload = SparkplugPayload()
    metrics: list[SparkplugMetric] = []
    for field in protobuf_fields(data):
        value = _expected(field, PAYLOAD_TYPES, "the payload")
        match field.number:
            case 1:
                payload.timestamp = value
            case 2:
                if len(metrics) >= MAX_METRICS:
                    raise FrameError(NOT_SPARKPLUG, f"more than {MAX_METRICS} metrics")
                metrics.append(_metric(value))
            case 3:
                if value > MAX_SEQ:
                    raise FrameError(NOT_SPARKPLUG, f"seq is {value}")
                payload.seq = value
            case 4:
                payload.uuid = _text(value, "uuid")
            case 5:
                payload.body_bytes = len(value)
    payload.metrics = tuple(metrics)
    return payload


def _expected(field: ProtobufField, types: dict[int, int], what: str) -> Any:
    """The value of a field of its declared type. Those that a later version adds are not looked at."""
    if types.get(field.number, field.wire_type) != field.wire_type:
        raise FrameError(NOT_SPARKPLUG, f"field {field.number} of {what} has type {field.wire_type}")
    return field.value


def _metric(data: bytes) -> SparkplugMetric:
    metric = SparkplugMetric()
    for field in protobuf_fields(data):
        value = _expected(field, METRIC_TYPES, "a metric")
        match field.number:
            case 1:
                if len(value) > MAX_METRIC_NAME_BYTES:
                    raise FrameError(NOT_SPARKPLUG, f"a name of {len(value)} bytes")
                metric.name = _text(value, "a name")
            case 2:
                metric.alias = value
            case 3:
                metric.timestamp = value
            case 4:
                metric.datatype = value
            case 5:
                metric.is_historical = bool(value)
            case 6:
                metric.is_transient = bool(value)
            case 7:
                metric.is_null = bool(value)
            case 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 as number:
                _set_value(metric, number, value)
    return metric


def _set_value(metric: SparkplugMetric, number: int, value: Any) -> None:
    """Set the value of a metric from its field; of several, the last one counts, as protobuf says."""
    metric.bits, metric.skipped = 0, SKIPPED.get(number, "")
    match number:
        case 10:
            if value >> INT32_BITS not in (0, 0xFFFFFFFF):  # some encoders extend the sign to 64 bits
                raise FrameError(NOT_SPARKPLUG, f"an int of {value.bit_length()} bits")
            metric.value, metric.bits = value & 0xFFFFFFFF, INT32_BITS
        case 11:
            metric.value, metric.bits = value, INT64_BITS
        case 12:
            (metric.value,) = FLOAT32.unpack(value)
        case 13:
            (metric.value,) = FLOAT64.unpack(value)
        case 14:
            metric.value = bool(value)
        case 15:
            metric.value = _text(value, "a value")
        case _:
            metric.value = None


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FrameError(NOT_SPARKPLUG, f"{what} is not UTF-8: {error.reason}") from None


def typed_value(metric: SparkplugMetric, datatype: int | None) -> MetricValue | None:
    """The value of a metric, of a data type by its number; None where it has none, or one that its type cannot have.

    An integer whose type is not known is itself where no sign can be in it, else None.
    """
    value, bits = metric.value, metric.bits
    if metric.is_null or not bits or not isinstance(value, int):
        return None if metric.is_null else value
    negative = 1 << (bits - 1)
    if (size := SIGNED_BITS.get(datatype or 0)) is not None:
        number = value - (1 << bits) if value >= negative else value
        if size < bits and 1 << (size - 1) <= value < 1 << size:  # the sign is not extended to the field
            number = value - (1 << size)
        return number if -(1 << (size - 1)) <= number < 1 << (size - 1) else None
    if (size := UNSIGNED_BITS.get(datatype or 0)) is not None:
        return value if value < 1 << size else None
    return value if datatype is not None or value < negative else None
