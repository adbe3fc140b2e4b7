"""Sparkplug B payloads: whole, cut off at each byte, garbage, and what each data type means."""

from __future__ import annotations

import math
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.datatype import FrameError
from greenpower.framing.protobuf import protobuf_fields
from greenpower.framing.sparkplug import MAX_METRICS, SparkplugMetric, decode_payload, typed_value
from tests.framing.sparkplug_bytes import (
    BOOLEAN,
    DATETIME,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    delimited,
    metric,
    number,
    payload,
    varint,
)

AT = 1_795_443_330_125
#: the ends of each integer type
ENDS = {
    INT8: (-(2**7), -1, 0, 2**7 - 1),
    INT16: (-(2**15), -1, 2**15 - 1),
    INT32: (-(2**31), -1, 2**31 - 1),
    INT64: (-(2**63), -1, 2**63 - 1),
    UINT8: (0, 2**8 - 1),
    UINT16: (0, 2**16 - 1),
    UINT32: (0, 2**31, 2**32 - 1),
    UINT64: (0, 2**63, 2**64 - 1),
    DATETIME: (AT,),
}
WHOLE = payload(
    AT,
    metric(DOUBLE, 64.25, name="Power", alias=1, at=AT - 5),
    metric(INT32, -38, name="Reactive", alias=2),
    metric(BOOLEAN, True, alias=3, typed=False),
    metric(STRING, "works ✓", name="Place", transient=True),
    metric(FLOAT, 1.5, alias=2**40, historical=True, at=AT - 60_000),
    metric(UINT64, None, alias=5),
    seq=255,
)


def rejected(data: bytes) -> str:
    with pytest.raises(FrameError) as caught:
        decode_payload(data)
    return caught.value.reason


def read_one(data: bytes) -> SparkplugMetric:
    (found,) = decode_payload(payload(AT, data)).metrics
    return found


def test_a_whole_message() -> None:
    found = decode_payload(WHOLE + delimited(4, b"u-1") + delimited(5, b"1234"))
    assert (found.timestamp, found.seq, found.uuid, found.body_bytes) == (AT, 255, "u-1", 4)
    power, reactive, flag, place, old, null = found.metrics
    assert power == SparkplugMetric(name="Power", alias=1, timestamp=AT - 5, datatype=DOUBLE, value=64.25)
    assert (reactive.value, reactive.bits, typed_value(reactive, INT32)) == (2**32 - 38, 32, -38)
    assert (flag.name, flag.alias, flag.datatype, flag.value) == ("", 3, None, True)
    assert (place.value, place.is_transient, place.is_historical) == ("works ✓", True, False)
    assert (old.value, old.alias, old.is_historical, old.timestamp) == (1.5, 2**40, True, AT - 60_000)
    assert null.is_null and typed_value(null, UINT64) is None


def test_cut_off_at_each_byte_it_is_rejected_or_has_no_sequence_number() -> None:
    """Protobuf says nothing of its end; the sequence number is the last field of all encoders."""
    whole = decode_payload(WHOLE)
    for length in range(len(WHOLE)):
        with suppress(FrameError):
            found = decode_payload(WHOLE[:length])
            assert found.seq is None
            assert found.metrics == whole.metrics[: len(found.metrics)]


@pytest.mark.parametrize(("datatype", "value"), [(name, value) for name, ends in ENDS.items() for value in ends])
def test_an_integer_means_what_its_type_says(datatype: int, value: int) -> None:
    found = read_one(metric(datatype, value))
    assert typed_value(found, found.datatype) == value
    without = read_one(metric(datatype, value, typed=False))
    top = 2 ** (without.bits - 1)
    assert typed_value(without, None) == (value if 0 <= value < top else None)


def test_a_sign_may_end_with_the_type_or_with_any_field() -> None:
    for sent in (0xFB, 0xFFFFFFFB, 2**64 - 5):
        assert typed_value(read_one(number(10, sent)), INT8) == -5
    assert typed_value(read_one(number(10, 0xFFFB)), INT16) == -5


def test_a_number_that_its_type_cannot_have_is_none() -> None:
    for datatype, sent in ((INT8, 300), (INT16, 70_000), (UINT8, 256), (UINT16, 2**16), (INT8, 0xFFFFFF00)):
        assert typed_value(read_one(number(10, sent)), datatype) is None


def test_what_is_no_number_is_skipped_with_a_word() -> None:
    for field in (16, 17, 18, 19):
        found = read_one(delimited(1, b"x") + delimited(field, b"\x08\x01"))
        assert found.value is None and found.skipped
    found = read_one(delimited(8, b"\x08\x01") + delimited(9, b"") + number(10, 7))
    assert (found.value, found.skipped) == (7, "")
    # Of several values the last one counts.
    last = read_one(delimited(17, b"") + number(14, 1))
    assert (last.value, last.skipped, last.bits) == (True, "", 0)


def test_numbers_that_are_not_finite_are_left_to_the_checks() -> None:
    assert math.isnan(float(read_one(metric(DOUBLE, math.nan)).value or 0))
    assert read_one(metric(FLOAT, -math.inf)).value == -math.inf


def test_fields_of_later_versions_are_not_looked_at() -> None:
    found = decode_payload(number(99, 1) + payload(AT, metric(INT32, 1) + delimited(64, b"later")))
    assert found.timestamp == AT and found.metrics[0].value == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0", "not-protobuf"),  # field 0
        (number(1 << 29, 1), "not-protobuf"),
        (b"\x0b", "not-protobuf"),  # a group
        (b"\x0f", "not-protobuf"),
        (b"\x08", "not-protobuf"),
        (b"\x08\x80", "not-protobuf"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "not-protobuf"),  # 65 bits
        (b"\x08" + b"\x80" * 30 + b"\x01", "not-protobuf"),
        (b"\x12\x05\x08", "not-protobuf"),
        (b"\x12" + varint(2**63), "not-protobuf"),
        (b"{}", "not-protobuf"),
        (b"\x0a\x01\x01", "not-sparkplug"),  # a timestamp with a length
        (number(3, 256), "not-sparkplug"),
        (delimited(4, b"\xff"), "not-sparkplug"),
        (delimited(2, number(1, 1)), "not-sparkplug"),
        (delimited(2, delimited(1, b"\xff")), "not-sparkplug"),
        (delimited(2, delimited(1, b"x" * 513)), "not-sparkplug"),
        (delimited(2, delimited(15, b"\xc3")), "not-sparkplug"),
        (delimited(2, number(10, 2**33)), "not-sparkplug"),
        (delimited(2, b"\x08"), "not-protobuf"),
        (delimited(2, b"") * (MAX_METRICS + 1), "not-sparkplug"),
    ],
)
def test_what_is_no_payload_is_rejected(data: bytes, reason: str) -> None:
    assert rejected(data) == reason


@given(st.binary(max_size=300))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_a_message_or_rejected(data: bytes) -> None:
    with suppress(FrameError):
        for found in decode_payload(data).metrics:
            for datatype in (None, *range(15)):
                typed_value(found, datatype)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_message_is_a_message_or_rejected(data: st.DataObject) -> None:
    changed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with suppress(FrameError):
        decode_payload(bytes(changed))


VALUES: dict[int, st.SearchStrategy[Any]] = {
    **{name: st.integers(min(ends), max(ends)) for name, ends in ENDS.items()},
    DOUBLE: st.floats(allow_nan=False),
    FLOAT: st.floats(width=32, allow_nan=False),
    BOOLEAN: st.booleans(),
    STRING: st.text(max_size=20),
}


@given(st.lists(st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind]))))
@settings(max_examples=200, deadline=None)
def test_what_is_encoded_is_read(sent: list[tuple[int, Any]]) -> None:
    found = decode_payload(payload(AT, *(metric(kind, value, alias=place) for place, (kind, value) in enumerate(sent))))
    assert [typed_value(one, one.datatype) for one in found.metrics] == [value for _, value in sent]
    assert [one.alias for one in found.metrics] == list(range(len(sent)))


def test_random_bytes_are_hardly_ever_messages() -> None:
    random = Random(1)
    read = 0
    for _ in range(2000):
        with suppress(FrameError):
            found = decode_payload(random.randbytes(random.randint(8, 96)))
            read += found.timestamp is not None and found.seq is not None
    assert read < 5


def test_fields_are_cut_without_reading_them() -> None:
    fields = [*protobuf_fields(b"\x0d\x00\x00\x80\x3f\x11" + b"\1" * 8 + delimited(3, b"abc"))]
    assert [(one.number, one.wire_type, one.value) for one in fields] == [
        (1, 5, b"\x00\x00\x80\x3f"),
        (2, 1, b"\1" * 8),
        (3, 2, b"abc"),
    ]
