"""An export of our own is imported as it is: every data type, every format."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.api.telemetry.export_format import NARROW, WIDE, columns_of, make_writer
from greenpower.catalog.registry import load_registry
from greenpower.config import Settings
from greenpower.datatype import DataType, Field, Kind
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.present import present_reading
from tests.archive.world import make_reading
from tests.importing.files import import_bytes, read
from tests.rollups.world import POWER

BEGIN = datetime(2025, 10, 25, 23, 30, tzinfo=UTC)  # over an hour that many zones repeat
DEVICES = ("D1", '=2"x', "ä,b;c", "'q", "+49")
TYPES = {datatype.name: datatype for datatype in load_registry(None, "all")}
SHAPES = [("csv", WIDE), ("csv", NARROW), ("ndjson", None), ("parquet", None)]


def value_of(field: Field, rnd: random.Random) -> int | float:
    """A value that may be stored."""
    if field.kind is Kind.ENUMERATION:
        return rnd.choice(list(field.codes)) if not field.bits else sum(1 << bit for bit in field.codes)
    low = -1e6 if field.low is None else field.low
    high = 1e6 if field.high is None else field.high
    low, high = max(low, -1e9), min(high, 1e9)
    number = rnd.choice((low, high, rnd.uniform(low, high), rnd.uniform(low, high) / 997))
    if rnd.random() < 0.3 and low <= int(number) <= high:
        return int(number)
    return number if low <= number <= high else low


def readings(datatype: DataType, *, undeclared: bool) -> Iterator[Document]:
    rnd = random.Random(datatype.name)
    for number in range(40):
        chosen = rnd.sample(datatype.fields, min(len(datatype.fields), 12))
        payload: dict[str, Any] = {field.name: value_of(field, rnd) for field in chosen}
        if undeclared and datatype.open:
            payload["of_tomorrow"] = number + 0.5
        if not any(payload.values()):
            continue
        at = BEGIN + timedelta(milliseconds=1 + number * 421_337)
        yield make_reading(DEVICES[number % len(DEVICES)], at, payload)


@pytest.mark.parametrize("name", [name for name, datatype in TYPES.items() if datatype.fields])
@pytest.mark.parametrize(("form", "shape"), SHAPES)
def test_every_type_in_every_format(name: str, form: str, shape: str | None) -> None:
    datatype = TYPES[name]
    some = list(readings(datatype, undeclared=shape == NARROW or form == "ndjson"))
    columns = columns_of(datatype, (), buckets=False, corrections=form != "ndjson", shape=shape or WIDE)
    writer = make_writer(form, columns, gzip=form != "parquet")
    data = writer.write([present_reading(dict(one)) for one in some]) + writer.finish()
    fragments, tally = read(data, datatype)
    assert tally.is_clean, tally.problems
    assert tally.rows == len(some)
    found = [(one.device_id, one.timestamp, one.payload) for one in fragments]
    assert found == [(one["device_id"], one["timestamp"], one["payload"]) for one in some]
    if shape != NARROW:
        assert [one.topic for one in fragments] == [one["topic"] for one in some]


@pytest.mark.parametrize(("form", "shape"), SHAPES)
def test_into_the_same_and_into_an_empty_database(
    db: Database[Document], settings: Settings, form: str, shape: str | None
) -> None:
    some = list(readings(POWER, undeclared=False))
    db[POWER.collection].insert_many([dict(one) for one in some])
    columns = columns_of(POWER, (), buckets=False, shape=shape or WIDE)
    writer = make_writer(form, columns)
    data = writer.write([present_reading(dict(one)) for one in some]) + writer.finish()
    before = list(db[POWER.collection].find().sort("_id"))
    assert import_bytes(settings, POWER, data).duplicate == len(some)
    assert list(db[POWER.collection].find().sort("_id")) == before
    db[POWER.collection].delete_many({})
    assert import_bytes(settings, POWER, data).stored == len(some)
    found = {(one["device_id"], one["timestamp"]): one["payload"] for one in db[POWER.collection].find()}
    assert found == {(one["device_id"], one["timestamp"]): one["payload"] for one in some}
