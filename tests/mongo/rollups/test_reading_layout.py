"""Readings by columns: the same as decoding each, whatever the readings look like."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from bson import Decimal128, Int64
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st

from greenpower.measure.reading_table import ReadingTable
from greenpower.mongo.client import Document
from greenpower.mongo.rollups import reading_layout
from greenpower.mongo.rollups.reading_layout import split_readings

T0 = datetime(2026, 11, 20, tzinfo=UTC)
OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True)

# What no layout has: other types of number, no numbers, documents and lists, whatever their bytes look like.
odd_values = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-9, 9).map(Int64),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9).map(Decimal128),
    st.none(),
    st.booleans(),
    st.text(max_size=9),
    st.binary(max_size=9),
    st.just(T0),
    st.just({"at": T0, "value": 1.5}),
    st.lists(st.floats(), max_size=2),
)
values = st.one_of(st.floats(), st.integers(-(2**31), 2**31 - 1), odd_values)
payloads = st.dictionaries(st.sampled_from("abcé"), st.one_of(st.floats(allow_nan=False), values), max_size=4)
readings = st.tuples(
    st.sampled_from(["d", "d2", "ü1", ""]), payloads, st.sampled_from([None, "arrival", "device"]), st.booleans()
)


def reading(number: int, device: str, payload: Document, clock: Any = None) -> Document:
    document: Document = {"device_id": device, "timestamp": T0 + timedelta(milliseconds=1_001 * number)}
    return {**document, "payload": payload, **({} if clock is None else {"clock": clock})}


def decoded(documents: list[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for document in documents:
        again = bson.decode(bson.encode(document), OPTIONS)
        found.setdefault(again["device_id"], []).append(again)
    return found


def split(documents: list[Document], size: int = 100) -> dict[str, Any]:
    encoded = [bson.encode(document) for document in documents]
    return split_readings([b"".join(encoded[at : at + size]) for at in range(0, len(encoded), size)], OPTIONS)


def check(documents: list[Document], size: int = 100) -> None:
    found = {device: list(several) for device, several in split(documents, size).items()}
    assert repr_of(found) == repr_of(decoded(documents))


def repr_of(found: dict[str, list[Document]]) -> Any:
    """What is there to the last bit, types and order of fields included; times by their instant."""
    return {
        device: [
            (
                one["timestamp"].timestamp(),
                types_of(one["payload"]),
                repr(one["payload"]),
                one.get("clock"),
                sorted(one),
            )
            for one in several
        ]
        for device, several in found.items()
    }


def types_of(payload: Document) -> list[type]:
    """As for `repr`, a long integer of BSON is an int."""
    return list(map(type, payload.values()))


def without(payload: Document, name: str) -> Document:
    return {key: value for key, value in payload.items() if key != name}


@given(
    st.integers(1, 3),
    st.integers(1, 200),
    st.integers(1, 90),
    st.lists(
        st.tuples(st.integers(0, 199), st.sampled_from("abn"), st.one_of(st.just("missing"), odd_values)), max_size=6
    ),
)
def test_some_odd_readings_among_many_that_look_alike(
    devices: int, count: int, size: int, odd: list[tuple[int, str, Any]]
) -> None:
    rng = random.Random(3)
    documents = [
        reading(
            at, f"d{at % devices}", {"a": rng.uniform(-9, 9), "n": at, "b": rng.choice((0.0, -0.0, math.nan, 1e300))}
        )
        for at in range(count)
    ]
    for place, name, value in odd:
        document = documents[place % count]
        payload = document["payload"]
        document["payload"] = without(payload, name) if value == "missing" else {**payload, name: value}
    check(documents, size)


@given(st.lists(readings, max_size=40), st.integers(1, 50))
def test_any_readings(several: list[tuple[str, Document, Any, bool]], size: int) -> None:
    documents = [reading(at, device, payload, clock) for at, (device, payload, clock, _) in enumerate(several)]
    for document, (*_, odd) in zip(documents, several, strict=True):
        if odd:
            document["payload"] = document.pop("payload")
            document["device_id"] = document.pop("device_id")
    check(documents, size)


@pytest.mark.parametrize("by_time", [True, False])
@pytest.mark.parametrize("devices", [1, 3])
def test_readings_that_look_alike_are_tables(by_time: bool, devices: int) -> None:
    rng = random.Random(1)
    documents = [
        reading(at, f"d{device}", {name: rng.uniform(-9, 9) for name in "abc"} | {"n": at})
        for device in range(devices)
        for at in range(300)
    ]
    if by_time:
        documents.sort(key=lambda document: document["timestamp"])
    found = split(documents)
    assert all(isinstance(several, ReadingTable) for several in found.values())
    assert found["d0"].names == ("a", "b", "c", "n")
    check(documents)


def test_one_odd_reading_and_values_that_are_no_numbers_as_such() -> None:
    documents = [reading(at, "d", {"a": at / 7, "b": -0.0}) for at in range(200)]
    documents[77]["payload"] = {"a": 5, "b": "x"}
    documents[78]["payload"] = {"b": 1.0, "a": 2.0}
    documents[79]["payload"] = {"a": math.inf, "b": -math.inf}
    check(documents)


def test_many_that_do_not_look_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_layout, "MAX_UNLIKE", 20)
    rng = random.Random(2)
    documents = [
        reading(at, f"d{at % 3}", {name: rng.choice((1.5, 2, "x")) for name in rng.sample("abcdefgh", 4)})
        for at in range(400)
    ]
    check(documents, 50)
