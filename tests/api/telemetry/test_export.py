"""Exports: every row once, in every format, the same numbers; and the command."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from pymongo.errors import PyMongoError

from greenpower.api.telemetry import export, parquet
from greenpower.api.telemetry.export_format import columns_of, make_writer
from greenpower.api.telemetry.export_slots import MAX_EXPORTS, MAX_EXPORTS_PER_CALLER, ExportSlots
from greenpower.datatype import NO_TIERS, DataType, Field, Mqtt, json_parser
from greenpower.mongo.rollups import export as store_export
from tests.api.conftest import PATH as PROBE_PATH
from tests.api.conftest import Api
from tests.api.energy.meter import PATH, Meters
from tests.process import environment
from tests.wait import wait_until

URL = PATH + "export/"
ROWS = 2_500


def _fill(meters: Meters) -> list[tuple[datetime, dict[str, float]]]:
    begin = meters.now.replace(microsecond=0) - timedelta(hours=6)
    readings = [
        (begin + timedelta(seconds=5 * number), {"volts": 230 + number / 7, "energy": number / 8})
        for number in range(ROWS)
    ]
    readings[3][1].pop("volts")
    meters.store("M1", readings)
    meters.store('M=2,"x"', readings[:10])
    return readings


def test_ndjson_has_the_rows_of_the_list(meters: Meters) -> None:
    readings = _fill(meters)
    response = meters.get(URL)
    assert response.status_code == 200 and response.mimetype == "application/x-ndjson"
    assert response.headers["Content-Disposition"] == 'attachment; filename="meter-data.ndjson"'
    rows = [orjson.loads(line) for line in response.data.splitlines()]
    assert len(rows) == ROWS + 10
    listed = meters.body(page_size=1000, resolution="raw", start_time="2020-01-01", device_id="M1")["results"]
    assert [row for row in rows if row["device_id"] == "M1"][:1000] == listed
    assert [row["payload"] for row in rows if row["device_id"] == "M1"] == [payload for _, payload in readings]
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times)


def test_csv_and_parquet_have_the_same_numbers(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 1_000)
    readings = _fill(meters)
    text = meters.get(URL, format="csv", device_id="M1", units="false").data.decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert list(table[0]) == ["device_id", "timestamp", "topic", "volts", "energy"]
    assert [float(row["energy"]) for row in table] == [payload["energy"] for _, payload in readings]
    assert table[3]["volts"] == "" and table[4]["volts"] == repr(readings[4][1]["volts"])

    file = pq.ParquetFile(io.BytesIO(meters.get(URL, format="parquet", device_id="M1").data))
    assert file.num_row_groups == 3
    rows = file.read().to_pylist()
    assert [row["timestamp"] for row in rows] == [time for time, _ in readings]
    assert [row["volts"] for row in rows] == [payload.get("volts") for _, payload in readings]

    assert [file.schema_arrow.field(name).metadata for name in ("volts", "energy")] == [
        {b"unit": b"V"},
        {b"unit": b"kWh"},
    ]
    awkward = csv.DictReader(io.StringIO(meters.get(URL, format="csv", device_id='M=2,"x"').data.decode()))
    assert awkward.fieldnames == ["device_id", "timestamp", "topic", "volts [V]", "energy [kWh]"]
    assert {row["device_id"] for row in awkward} == {'M=2,"x"'}
    everything = csv.DictReader(io.StringIO(meters.get(URL, format="csv").data.decode()))
    assert {row["device_id"] for row in everything} == {"M1", 'M=2,"x"'}


def test_a_gzip_file_holds_the_same(meters: Meters) -> None:
    _fill(meters)
    packed = meters.get(URL, gzip="true", fields="volts", device_id="M1")
    assert packed.mimetype == "application/gzip" and packed.headers["Content-Disposition"].endswith('.ndjson.gz"')
    plain = meters.get(URL, fields="volts", device_id="M1").data
    assert gzip.decompress(packed.data) == plain and b"energy" not in plain
    assert len(packed.data) < len(plain) / 4


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_buckets_are_exported_with_their_tail(meters: Meters, form: str) -> None:
    readings = _fill(meters)
    meters.roll_up("M1", readings, readings[1500][0], ["today_"])
    data = meters.get(URL, format=form, resolution="1m", device_id="M1").data
    if form == "ndjson":
        rows: list[dict[str, Any]] = [orjson.loads(line) for line in data.splitlines()]
        finals = [row["final"] for row in rows]
        assert rows == meters.body(resolution="1m", device_id="M1", order="asc", page_size=1000)["results"]
    elif form == "csv":
        finals = [row["final"] == "true" for row in csv.DictReader(io.StringIO(data.decode()))]
    else:
        finals = pq.read_table(io.BytesIO(data))["final"].to_pylist()
    minutes = len({time.replace(second=0) for time, _ in readings})
    assert len(finals) == minutes and finals == sorted(finals, reverse=True) and len(set(finals)) == 2


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_nothing_is_a_file_too(meters: Meters, form: str) -> None:
    data = meters.get(URL, format=form).data
    if form == "parquet":
        assert pq.read_table(io.BytesIO(data)).num_rows == 0
    else:
        assert data.decode() == {"ndjson": "", "csv": "device_id,timestamp,topic,volts [V],energy [kWh]\r\n"}[form]


def test_narrow_csv_has_a_line_per_value(meters: Meters) -> None:
    readings = _fill(meters)
    text = meters.get(URL, format="csv", device_id="M1", shape="narrow").data.decode()
    table = list(csv.reader(io.StringIO(text)))
    assert table[0] == ["timestamp", "device_id", "field", "value", "unit"]
    assert [(row[2], float(row[3])) for row in table[1:]] == [
        item for _, payload in readings for item in payload.items()
    ]
    assert {(row[2], row[4]) for row in table[1:]} == {("volts", "V"), ("energy", "kWh")}
    assert len({row[0] for row in table[1:]}) == ROWS
    meters.roll_up("M1", readings, readings[1500][0], ["today_"])
    buckets = meters.get(URL, format="csv", resolution="1m", shape="narrow", fields="volts", units="0", device_id="M1")
    rows = list(csv.DictReader(io.StringIO(buckets.data.decode())))
    assert list(rows[0]) == ["timestamp", "device_id", "field", "value", "final"]
    assert {row["field"] for row in rows} == {"volts"} and {row["final"] for row in rows} == {"true", "false"}
    assert meters.get(URL, shape="narrow").status_code == 422


@pytest.mark.parametrize(
    ("count", "names", "narrow"), [(3, (), False), (40, (), True), (40, ("f1",), False), (0, (), True)]
)
def test_types_with_many_fields_or_none_are_narrow_by_default(count: int, names: tuple[str, ...], narrow: bool) -> None:
    datatype = DataType(
        name="wide",
        title="Wide",
        collection="wide_data",
        match=(Mqtt("WIDE"),),
        fields=tuple(Field(f"f{number}", unit="V") for number in range(count)),
        parse=json_parser(device="id"),
        tiers=NO_TIERS,
    )
    columns = columns_of(datatype, names, buckets=False)
    assert columns.narrow == narrow
    row = {"device_id": "A", "timestamp": datetime(2026, 3, 1), "topic": "T", "payload": {"f1": 1.5, "other": 2}}
    writer = make_writer("csv", columns)
    lines = (writer.write([row]) + writer.finish()).decode().splitlines()
    if narrow:
        values = [line.split(",")[2:] for line in lines[1:]]
        assert values == [["f1", "1.5", "V" if count else ""], ["other", "2", ""]]
    else:
        assert len(lines) == 2 and "other" not in lines[0]


@pytest.mark.parametrize("shape", ["wide", "narrow"])
@pytest.mark.parametrize("name", ["=1+1", "+1", "-5", "@SUM(A1)", "=cmd|' /C calc'!A0", '=HYPERLINK("x")', "\uff1d1+1"])
def test_no_id_becomes_a_formula(meters: Meters, shape: str, name: str) -> None:
    meters.store(name, [(meters.now.replace(microsecond=0), {"volts": -1.5})])
    [row] = csv.DictReader(io.StringIO(meters.get(URL, format="csv", shape=shape).data.decode()))
    assert row["device_id"] == f"'{name}"
    # Numbers stay numbers.
    assert float(row["volts [V]"] if shape == "wide" else row["value"]) == -1.5


def test_head_tells_no_length_and_ranges_are_not_served(meters: Meters) -> None:
    _fill(meters)
    access = {"Authorization": f"Bearer {meters.tokens['access']}"}
    head = meters.client.head(URL, headers=access)
    whole = meters.client.get(URL, headers=access)
    assert head.status_code == 200 and "Content-Length" not in head.headers and not head.data
    same = ("Content-Type", "Content-Disposition", "Accept-Ranges")
    assert [head.headers[name] for name in same] == [whole.headers[name] for name in same]
    assert head.headers["Accept-Ranges"] == "none"
    for wanted in ("bytes=100-", "bytes=0-10", "bytes=-5", "bytes=99999999-", "bytes=5-1", "lines=1"):
        part = meters.client.get(URL, headers={**access, "Range": wanted})
        assert part.status_code == 200 and part.data == whole.data and "Content-Range" not in part.headers
    assert meters.client.head(URL + "?device_id=none", headers=access).status_code == 422


def test_a_file_ends_with_what_there_was_at_its_begin(meters: Meters) -> None:
    _fill(meters)
    access = {"Authorization": f"Bearer {meters.tokens['access']}"}
    response = meters.client.get(URL, headers=access, buffered=False)
    parts: Iterator[Any] = iter(response.response)
    next(parts)
    # The reader is slow, and the device goes on.
    meters.store("M1", [(datetime.now(UTC) + timedelta(seconds=number), {"volts": 9.0}) for number in range(1, 500)])
    rest = b"".join(parts)
    response.close()
    assert rest.count(b"\n") < ROWS + 10 and b'"volts":9.0' not in rest


@pytest.fixture(autouse=True)
def no_slot_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of other modules in this process may have left an answer unread, which no server does."""
    monkeypatch.setattr(export, "EXPORT_SLOTS", ExportSlots())


def _assert_free(meters: Meters) -> None:
    """That another export can begin. It is closed: what is only dropped goes on reading ahead."""
    with meters.get(URL) as response:
        assert response.status_code == 200


def test_slots_are_given_back_whatever_happens(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(meters)
    for _ in range(3 * MAX_EXPORTS):
        assert (
            meters.client.head(URL, headers={"Authorization": f"Bearer {meters.tokens['access']}"}).status_code == 200
        )
        assert meters.get(URL, resolution="7m").status_code == 422
        response = meters.client.get(
            URL, headers={"Authorization": f"Bearer {meters.tokens['access']}"}, buffered=False
        )
        next(iter(response.response))
        response.close()
    with monkeypatch.context() as patch:
        patch.setattr(store_export, "MAX_EXPORT_MS", -1)
        for _ in range(2 * MAX_EXPORTS):
            assert meters.get(URL).status_code >= 500
    held = [
        meters.client.get(URL, headers={"Authorization": f"Bearer {meters.tokens['access']}"}, buffered=False)
        for _ in range(MAX_EXPORTS_PER_CALLER)
    ]
    refused = meters.get(URL)
    assert refused.status_code == 429 and refused.headers["Retry-After"]
    for response in held:
        response.close()
    _assert_free(meters)


def test_a_type_without_tiers_exports_readings_only(api: Api) -> None:
    assert api.get(PROBE_PATH + "export/", resolution="1m").status_code == 422
    assert api.get(PROBE_PATH + "export/", fields="$where").status_code == 422


def test_the_command_writes_the_same(api: Api, tmp_path: Path) -> None:
    # The plugin `environment` is installed; its collection gets a few rows in the test's own database.
    rows = api.database["environment_data"]
    rows.delete_many({})
    stamp = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    rows.insert_many(
        [
            {"device_id": "E1", "topic": "T", "timestamp": stamp + timedelta(minutes=n), "payload": {"temp_1_c": n / 3}}
            for n in range(1_200)
        ]
    )
    run = [sys.executable, "-m", "greenpower", "export", "--type", "environment", "--since", "2026-03-01T01:00"]
    env = {**environment(api.settings), "GREENPOWER_HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    path = tmp_path / "out.csv"
    done = subprocess.run([*run, "--format", "csv", "--output", str(path)], env=env, capture_output=True, text=True)
    assert done.returncode == 0 and "1140" in done.stderr, done.stderr
    assert len(path.read_text().splitlines()) == 1_141
    done_binary = subprocess.run([*run, "--field", "temp_1_c"], env=env, capture_output=True)
    lines = [orjson.loads(line) for line in done_binary.stdout.splitlines()]
    assert [line["payload"] for line in lines] == [{"temp_1_c": n / 3} for n in range(60, 1_200)]
    for option, value in (("--resolution", "7m"), ("--device", "E9"), ("--field", "no field")):
        wrong = subprocess.run([*run, option, value], env=env, capture_output=True, text=True)
        assert wrong.returncode == 2 and f"'{value}'" in wrong.stderr and not wrong.stdout
    rows.drop()


def test_a_database_that_fails_under_way_breaks_the_file(meters: Meters) -> None:
    _fill(meters)
    response = meters.client.get(URL, headers={"Authorization": f"Bearer {meters.tokens['access']}"}, buffered=False)
    parts = iter(response.response)
    next(parts)
    database = meters.database

    def idle() -> list[int]:
        return [
            op["cursor"]["cursorId"]
            for op in database.client.admin.aggregate([{"$currentOp": {"idleCursors": True}}])
            if op.get("type") == "idleCursor" and op["ns"] == f"{database.name}.meter_data"
        ]

    # While the export reads ahead the cursor is at work, and not among the idle ones.
    cursors = wait_until(idle)
    database.command("killCursors", "meter_data", cursors=cursors)
    with pytest.raises(PyMongoError):
        list(parts)
    response.close()
    _assert_free(meters)
