"""A reading that went through columns is the reading that it was: values, their kinds and their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from greenpower.archive.columns import plain_bytes, to_documents, to_table

T0 = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-1_000_000, 1_000_000).map(lambda number: number / 1000),
    st.sampled_from([0.0, -0.0, 1, 1.0, 2**53, 2**53 + 1, float(2**53), 1e300, 5e-324, 0.1 + 0.2]),
)
OTHERS = st.one_of(st.text(max_size=5), st.none(), st.booleans(), st.lists(st.integers(0, 5), max_size=2))
PAYLOADS = st.dictionaries(st.sampled_from(["a", "b", "c", "ä.x", "", "d\n"]), st.one_of(NUMBERS, NUMBERS, OTHERS))


def reading(number: int, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    at = T0 + timedelta(seconds=number)
    return {
        "_id": ObjectId(),
        "device_id": "D",
        "topic": "T",
        "timestamp": at,
        "received_at": at + timedelta(milliseconds=17),
        "updated_at": at + timedelta(milliseconds=18),
        "payload": payload,
        "complete": bool(number % 2),
        **more,
    }


def bytes_of(documents: Any) -> list[bytes]:
    return [plain_bytes(document) for document in documents]


@given(st.lists(PAYLOADS, min_size=1, max_size=20))
def test_columns_give_back_what_they_took(payloads: list[dict[str, Any]]) -> None:
    documents = [reading(number, payload) for number, payload in enumerate(payloads)]
    assert bytes_of(to_documents(to_table(documents))) == bytes_of(documents)


@given(st.lists(NUMBERS, min_size=1, max_size=200))
def test_a_column_of_one_field_gives_back_what_it_took(values: list[Any]) -> None:
    documents = [reading(number, {"a": value}) for number, value in enumerate(values)]
    assert bytes_of(to_documents(to_table(documents))) == bytes_of(documents)


@pytest.mark.parametrize(
    "document",
    [
        reading(0, {"a": 1.5}, clock="arrival"),
        reading(0, {"a": 1.5}, unknown={"k": [1, 2.0]}),
        reading(0, {"a": Int64(5)}),
        {"_id": "text", "device_id": "D", "timestamp": T0, "payload": {"a": 1}},
        reading(0, {"a": float("inf"), "b": -0.0}),
    ],
)
def test_unusual_readings_are_kept_whole(document: dict[str, Any]) -> None:
    documents = [reading(1, {"a": 2.5}), document]
    assert bytes_of(to_documents(to_table(documents))) == bytes_of(documents)


def test_decimals_are_whole_numbers_and_a_few_odd_values_do_not_change_that() -> None:
    documents = [reading(number, {"a": number / 100}) for number in range(1000)]
    documents[7]["payload"]["a"] = 1 / 3
    field = to_table(documents).schema.field("value.a")
    assert (str(field.type), field.metadata[b"scale"]) == ("int64", b"2")
    assert bytes_of(to_documents(to_table(documents))) == bytes_of(documents)


def test_only_the_fields_asked_for() -> None:
    table = to_table([reading(0, {"a": 1.5, "b": 2, "c": "x"}), reading(1, {"b": 3})])
    assert [row["payload"] for row in to_documents(table, ["b", "c"])] == [{"b": 2, "c": "x"}, {"b": 3}]
