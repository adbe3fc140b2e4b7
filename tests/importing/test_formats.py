"""Each format: rows and values as they are, and what is wrong by line and column."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from greenpower.importing.file_error import ImportFileError
from greenpower.importing.source_file import MAX_LINE_CHARACTERS, SourceFile
from tests.importing.files import payloads, read
from tests.rollups.world import POWER

TIME = "2026-01-31T12:00:00Z"
LATER = "2026-01-31T12:15:00Z"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
WIDE = f"device_id,timestamp,power\nD1,{TIME},1.5\nD1,{LATER},2\n".encode()
NARROW = (
    f"timestamp,device_id,field,value,unit\n{TIME},D1,power,64.2,W\n{TIME},D1,temp,20,\n{LATER},D1,power,0.5,kW\n"
).encode()


def as_parquet(columns: dict[str, Any], units: dict[str, str] | None = None, **options: Any) -> bytes:
    table = pa.table(columns)
    fields = [
        field.with_metadata({"unit": (units or {})[field.name]}) if field.name in (units or {}) else field
        for field in table.schema
    ]
    sink = io.BytesIO()
    parquet.write_table(table.cast(pa.schema(fields)), sink, **options)
    return sink.getvalue()


def as_lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def problems(data: bytes, **more: Any) -> list[tuple[int, str, str]]:
    _, tally = read(data, **more)
    return [(one.line, one.column, one.reason) for one in tally.problems]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_as_programs_write_it(packed: bool, end: str, delimiter: str, mark: str) -> None:
    text = mark + WIDE.decode().replace("\n", end).replace(",", delimiter)
    data = gzip.compress(text.encode()) if packed else text.encode()
    assert payloads(data) == [{"power": 1.5}, {"power": 2}]


def test_lines_of_one_reading_are_one_row() -> None:
    fragments, tally = read(NARROW)
    assert tally.is_clean and (tally.rows, tally.lines) == (2, 3)
    assert [one.payload for one in fragments] == [{"power": 0.0642, "temp": 20}, {"power": 0.5}]


def test_a_line_that_stands_alone_is_no_zero_frame() -> None:
    """A row of zeros is what some devices send when they start; one zero is a value."""
    head = "timestamp,device_id,field,value\n"
    assert payloads(f"{head}{TIME},D1,energy,0\n".encode()) == [{"energy": 0}]
    zeros = f"{head}{TIME},D1,energy,0\n{TIME},D1,power,0\n".encode()
    assert problems(zeros) == [(2, "", "zero-frame")]
    assert problems(f"device_id,timestamp,energy,power\nD1,{TIME},0,0\n".encode()) == [(2, "", "zero-frame")]


def test_a_field_that_comes_again_begins_another_row() -> None:
    data = f"timestamp,device_id,field,value\n{TIME},D1,power,1\n{TIME},D1,power,2\n".encode()
    assert payloads(data) == [{"power": 1}, {"power": 2}]


def test_values_of_a_narrow_file_are_named_by_line() -> None:
    data = (
        f"timestamp,device_id,field,value,unit\n{TIME},D1,power,x,W\n{TIME},D1,temp,1,V\n{TIME},D1,nofield,1,\n"
        f"{TIME},D1,energy,5,kWh\n"
    ).encode()
    assert problems(data) == [(3, "temp", "bad-unit"), (2, "power", "not-a-number"), (4, "nofield", "undeclared")]


def test_one_bad_cell_costs_itself_only() -> None:
    data = f"device_id,timestamp,power [W],temp\nD1,{TIME},abc,20\nD1,{LATER},1e9,21\nD1,,1,1\n,{TIME},1,1\n".encode()
    fragments, tally = read(data)
    assert [one.payload for one in fragments] == [{"temp": 20}, {"temp": 21}]
    assert [(one.line, one.column, one.reason) for one in tally.problems] == [
        (2, "power [W]", "not-a-number"),
        (3, "power [W]", "out-of-range"),
        (4, "", "bad-time"),
        (5, "", "no-device"),
    ]
    assert tally.refused == {"bad-time": 1, "no-device": 1} and tally.left_out == {"not-a-number": 1, "out-of-range": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"D1,{TIME},", "no-values"),
        (f"D1,{TIME},1,2", "too-many-cells"),
        (f"$x,{TIME},1", "bad-device"),
        (f"{'d' * 65},{TIME},1", "bad-device"),
        ("D1,2026-11-21T00:00Z,1", "in-future"),
        ("D1,2026-01-31T12:00,1", "no-zone"),
    ],
)
def test_rows_that_are_refused(row: str, reason: str) -> None:
    assert problems(f"device_id,timestamp,power\n{row}\n".encode()) == [(2, "", reason)]


def test_quoted_cells_and_empty_lines() -> None:
    data = f'device_id,timestamp,power\n\n"D,1","{TIME}","1.5"\n"D""2",{LATER},2\n\n'.encode()
    fragments, tally = read(data)
    assert tally.is_clean and [one.device_id for one in fragments] == ["D,1", 'D"2']


def test_texts_that_spreadsheets_would_run_lose_their_mark() -> None:
    data = f"device_id,timestamp,topic,power\n'=D1,{TIME},'+T,1\n'plain,{LATER},T,1\n".encode()
    fragments, _ = read(data)
    assert [(one.device_id, one.topic) for one in fragments] == [("=D1", "+T"), ("'plain", "T")]


def test_a_device_for_all_rows() -> None:
    data = f"timestamp,power\n{TIME},1\n".encode()
    fragments, _ = read(data, device_id="D7")
    assert [one.device_id for one in fragments] == ["D7"]
    other = f"device,timestamp,power\nX,{TIME},1\n".encode()
    fragments, _ = read(other, device_id="D7")
    assert [one.device_id for one in fragments] == ["D7"]


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "1", "topic": "T", "device_id": "D1", "timestamp": TIME, "payload": {"power": 1.5}}],
        [{"device": "D1", "time": TIME, "power": 1.5}],
        [{"device": "D1", "time": TIME, "field": "power", "value": 1500, "unit": "W"}],
        [{"device": "D1", "time": TIME, "power [W]": 1500}],
        [{"device": "D1", "time": 1769860800, "power": "1.5"}],
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_ndjson(rows: list[Any], packed: bool) -> None:
    data = as_lines(*rows)
    fragments, tally = read(gzip.compress(data) if packed else data)
    assert tally.is_clean
    assert [(one.device_id, one.timestamp, one.payload) for one in fragments] == [("D1", NOON, {"power": 1.5})]


def test_ndjson_lines_that_are_none() -> None:
    data = (
        as_lines({"device": "D1", "time": TIME, "power": 1})
        + b'{"broken\n[1]\n'
        + as_lines(
            {"device": 7, "time": TIME, "power": True, "nofield": 3, "temp": 1},
            {"device": {}, "time": TIME, "temp": 1},
        )
    )
    assert problems(data) == [
        (2, "", "not-json"),
        (3, "", "not-json"),
        (4, "power", "not-a-number"),
        (4, "nofield", "undeclared"),
        (5, "", "no-device"),
    ]


def test_ndjson_by_a_mapping() -> None:
    data = as_lines({"meter": "D1", "at": TIME, "p": 64.2, "note": "x", "other": 1})
    mapping: dict[str, Any] = {
        "device": "meter",
        "time": "at",
        "ignore": ["note"],
        "columns": {"p": {"field": "power", "unit": "W"}},
    }
    assert payloads(data, ignore_unknown=True, **mapping) == [{"power": 0.0642}]


def test_an_open_type_takes_undeclared_fields_of_ndjson() -> None:
    data = as_lines({"device": "D1", "time": TIME, "payload": {"g": 1, "extra": 2}})
    assert payloads(data, POWER) == [{"g": 1, "extra": 2}]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", None])
def test_parquet(unit: str, zone: str | None) -> None:
    stamps = pa.array([NOON.replace(tzinfo=None)], pa.timestamp(unit))
    if zone is not None:
        stamps = pa.array([NOON], pa.timestamp(unit, zone))
    data = as_parquet({"device_id": ["D1"], "timestamp": stamps, "power": [64.2], "temp": [None]}, {"power": "W"})
    fragments, tally = read(data, timezone="UTC")
    assert tally.is_clean and tally.rows == 1
    assert [(one.timestamp, one.payload) for one in fragments] == [(NOON, {"power": 0.0642})]


def test_parquet_with_a_row_per_value() -> None:
    data = as_parquet({"device_id": ["D1"] * 2, "time": [TIME] * 2, "field": ["power", "temp"], "value": [1.0, 2.0]})
    assert payloads(data) == [{"power": 1.0}, {"temp": 2.0}]


def test_parquet_of_many_row_groups() -> None:
    count = 12_001
    stamps = [1_600_000_000 + number for number in range(count)]
    data = as_parquet({"device_id": ["D1"] * count, "time": stamps, "power": [1.0] * count}, row_group_size=1_000)
    fragments, tally = read(data)
    assert tally.is_clean and len({one.timestamp for one in fragments}) == count


@pytest.mark.parametrize(
    ("data", "form", "said"),
    [
        (b"", None, "empty"),
        (b"\n\n", "csv", "no header"),
        (b'"device_id', "csv", "line 1: no CSV"),
        (b"PAR1 and nothing", None, "no Parquet"),
        (b"{nothing", None, "line 1: no JSON"),
        (b"[1]", "ndjson", "no JSON object"),
        (gzip.compress(as_parquet({"a": [1]}), mtime=0), None, "without gzip"),
        (as_lines({"device_id": "D", "payload": {}, "final": True}), None, "buckets"),
        (b"device_id,timestamp,temp \xb0C\n", None, "not utf-8"),
    ],
)
def test_files_that_cannot_be_used(data: bytes, form: Any, said: str) -> None:
    with pytest.raises(ImportFileError) as raised:
        read(data, form=form)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(WIDE, mtime=0)[:-12], "cut off"),
        (WIDE + b'D1,"2026', "line 4: no CSV"),
        (WIDE + "D1,ä".encode("latin-1"), "not utf-8"),
        (WIDE + b"x" * (MAX_LINE_CHARACTERS + 1), "longer than"),
    ],
)
def test_files_that_break_off(data: bytes, said: str) -> None:
    with pytest.raises(ImportFileError) as raised:
        read(data)
    assert said in str(raised.value)


def test_what_is_unpacked_has_a_limit() -> None:
    bomb = gzip.compress(WIDE + b"D1,,\n" * 1_000_000)
    source = SourceFile(io.BytesIO(bomb), max_bytes=100_000)
    with pytest.raises(ImportFileError) as raised, source.text("utf-8") as lines:
        for _ in lines:
            pass
    assert "100000" in str(raised.value)
