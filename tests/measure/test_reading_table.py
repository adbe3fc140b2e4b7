"""Columns of a table with readings around it are those of the same payloads as documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenpower.measure.column import make_columns
from greenpower.measure.reading_table import ReadingTable, TablePayloads

T0 = datetime(2026, 11, 20, tzinfo=UTC)
ALIKE = {"b": 1.5, "a": 2}
AROUND: list[list[dict[str, Any]]] = [[], [ALIKE], [{"b": 1.5}], [{**ALIKE, "c": 3.0}], [{"a": 2, "c": 1.0}, ALIKE]]


def table(values: list[float]) -> ReadingTable:
    times = [T0 + timedelta(minutes=at) for at in range(len(values))]
    return ReadingTable("d", times, ("a", "b"), [tuple(range(len(values))), tuple(values)], "arrival")


@pytest.mark.parametrize("before", AROUND)
@pytest.mark.parametrize("after", AROUND)
@pytest.mark.parametrize("only", [None, {"b"}, {"c"}, {"a", "c"}])
@pytest.mark.parametrize("as_documents", [False, True])
def test_columns_are_those_of_documents(
    before: list[Any], after: list[Any], only: set[str] | None, as_documents: bool
) -> None:
    for values in ([0.5, 1.5, 2.5], [float("nan"), 1.0], [float("inf")]):
        inside = table(values)
        documents = [*before, *(reading["payload"] for reading in inside), *after]
        payloads = TablePayloads(before, inside, after)
        assert len(payloads) == len(documents)
        found = make_columns(documents if as_documents else payloads, only)
        wanted = make_columns(documents)
        assert repr(found) == repr([column for column in wanted if only is None or column.name in only])


def test_its_documents() -> None:
    several = table([0.5, 1.5])
    assert len(several) == 2
    assert several[-1] == {
        "device_id": "d",
        "timestamp": several.times[1],
        "payload": {"a": 1, "b": 1.5},
        "clock": "arrival",
    }
    assert list(several) == several[:]
