"""Decoding JSON that devices send, and worse."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import Frame, FrameError, decode_object, json_parser
from greenpower.datatype.json import MAX_DEPTH, MAX_KEYS

PARSE = json_parser(device="id", time="time", complete="isend")
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def frame(payload: bytes | dict[str, Any], device: str | None = None) -> Frame:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Frame(topic="t", payload=data, device=device)


def reason(payload: bytes) -> str:
    with pytest.raises(FrameError) as caught:
        decode_object(payload)
    caught.value.detail.encode()
    return caught.value.reason


@given(st.dictionaries(st.text(max_size=12), VALUES, max_size=12), st.booleans())
def test_every_object_without_repeated_keys_comes_as_it_is(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        payload = text.encode()
    except UnicodeEncodeError:
        return
    try:
        assert decode_object(payload) == json.loads(text)
    except FrameError as error:
        assert error.reason == "too-deep"


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", ":", "a:", "\\u003a", "{", "["]), st.sampled_from(["1", '":"', "[]"]))
    )
)
def test_repeated_keys_are_always_seen(pairs: list[tuple[str, str]]) -> None:
    payload = ("{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}").encode()
    keys = [json.loads(f'"{key}"') for key, _ in pairs]
    if len(set(keys)) < len(keys):
        assert reason(payload) == "duplicate-keys"
    else:
        assert list(decode_object(payload)) == keys


def test_a_key_that_comes_twice_with_the_same_value_is_refused_too() -> None:
    assert reason(b'{"ua":1,"ua":1}') == "duplicate-keys"
    assert reason(b'{"a":{"b":1,"b":1}}') == "duplicate-keys"
    assert reason(b'{"a":1,"a":2,"b":"\\u003a"}') == "duplicate-keys"


@given(st.binary(max_size=200))
def test_any_bytes_give_an_object_or_a_frame_error(payload: bytes) -> None:
    with suppress(FrameError):
        assert isinstance(decode_object(payload), dict)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "not-json"),
        (b"hello", "not-json"),
        (b'{"a":1', "not-json"),
        (b'{"a":1}{"a":2}', "not-json"),
        (b'\xef\xbb\xbf{"a":1}', "not-json"),
        (b'{"a":01}', "not-json"),
        (b"\xff\xfe{", "not-utf8"),
        (b'{"a":"\xed\xa0\x80"}', "not-utf8"),
        ('{"a":1}'.encode("utf-16"), "not-utf8"),
        (b"[1]", "not-object"),
        (b"null", "not-object"),
        (b"12", "not-object"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "too-deep"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "too-deep"),
        (b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", "too-deep"),
        (b'{"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "too-deep"),
        (b"[" * 100_000, "too-deep"),
        (json.dumps({f"k{n}": n for n in range(100_000)}).encode(), "too-many-keys"),
        (b'{"a":[' + b"{}," * 80_000 + b"{}]}", "too-many-keys"),
        (json.dumps({f"k{n}": {str(m): m for m in range(99)} for n in range(200)}).encode(), "too-many-keys"),
    ],
)
def test_a_bad_payload_has_a_reason(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


def test_the_limits_themselves_are_allowed() -> None:
    assert len(decode_object(json.dumps({f"k{n}": n for n in range(MAX_KEYS)}).encode())) == MAX_KEYS
    depth = MAX_DEPTH - 2
    assert decode_object(b'{"a":' + b"[" * depth + b"1" + b"]" * depth + b"}")


def test_numbers_that_json_does_not_have_come_as_floats_that_are_left_out_later() -> None:
    decoded = decode_object(b'{"a":NaN,"b":Infinity,"c":-Infinity,"d":1e400,"e":' + b"9" * 5000 + b',"f":1}')
    assert math.isnan(decoded["a"])
    assert [decoded[key] for key in "bcde"] == [math.inf, -math.inf, math.inf, math.inf]
    assert decoded["f"] == 1


def test_a_flat_frame_is_one_reading() -> None:
    (reading,) = PARSE(frame({"id": "33B1225950027", "ua": 229.097, "time": "20260112163900", "isend": "1"}))
    assert (reading.device_id, reading.values) == ("33B1225950027", {"ua": 229.097})
    assert reading.stamp == datetime(2026, 1, 12, 16, 39)
    assert reading.complete


@pytest.mark.parametrize("isend", ["0", 0])
def test_a_packet_that_is_not_the_last_says_so(isend: object) -> None:
    (reading,) = PARSE(frame({"id": "M", "ua": 1, "isend": isend}))
    assert not reading.complete


@pytest.mark.parametrize("time", [None, ""])
def test_no_stamp_means_time_of_arrival(time: object) -> None:
    (reading,) = PARSE(frame({"id": "M", "ua": 1, "time": time}))
    assert reading.stamp is None


def test_a_stamp_with_an_offset_is_absolute_and_a_number_is_read_as_written() -> None:
    (reading,) = PARSE(frame({"id": "M", "time": "2026-01-12T16:39:00+06:00"}))
    assert reading.stamp == datetime(2026, 1, 12, 10, 39, tzinfo=UTC)
    (reading,) = PARSE(frame({"id": "M", "time": 20260112163900}))
    assert reading.stamp == datetime(2026, 1, 12, 16, 39)


@pytest.mark.parametrize(
    "given_id", [5, 1.5, True, [], {}, ["x"] * 50, "M" * 10_240, "\ud800", "a\0b", "$where", " M", "a\nb", "\u2028"]
)
def test_bad_device_ids(given_id: object) -> None:
    with pytest.raises(FrameError) as caught:
        PARSE(frame({"id": given_id, "ua": 1}))
    assert caught.value.reason == "bad-id"


def test_the_device_id_of_the_claim_is_used_if_the_frame_has_none() -> None:
    (reading,) = json_parser()(frame({"id": 3, "a": 1}, device="ENV_1"))
    assert (reading.device_id, reading.values) == ("ENV_1", {"id": 3, "a": 1})
    (reading,) = PARSE(frame({"id": "", "ua": 1}, device="ENV_1"))
    assert reading.device_id == "ENV_1"
    with pytest.raises(FrameError) as caught:
        PARSE(frame({"ua": 1}))
    assert caught.value.reason == "no-id"


def test_ignored_keys_are_no_values() -> None:
    (reading,) = json_parser(device="id", ignore=("msg",))(frame({"id": "M", "msg": "x", "a": 1}))
    assert reading.values == {"a": 1}
