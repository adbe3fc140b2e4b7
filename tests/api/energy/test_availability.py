"""Data availability over the API, against a plain count of quarter-hours with readings."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from greenpower.catalog.registry import Registry
from greenpower.cli import point_availability
from greenpower.cli.points import points
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.sql import Device, DeviceType
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.api.conftest import close_app, refused
from tests.api.energy.meter import METER, Meters, make_meters
from tests.api.energy.test_points import FOR_EVER, ZONE
from tests.api.world import SqlApi

QUARTER = timedelta(minutes=15)
#: a local month whose clock changes; readings begin within it
BEGIN, END = datetime(2026, 3, 1, tzinfo=ZONE), datetime(2026, 4, 1, tzinfo=ZONE)
FIRST, SILENT_FROM, SILENT_UNTIL = (datetime(2026, 3, *at, tzinfo=UTC) for at in ((10, 5, 20), (20, 1, 3), (21, 7, 50)))
LAST = datetime(2026, 4, 2, 12, tzinfo=UTC)
#: minutes between readings, by device
STEPS = {"fine": 5, "half": 30, "hour": 60, "rare": 120}


class Site(Meters, SqlApi):
    """Meters that begin, fall silent and go on."""

    times: dict[str, list[datetime]]

    def fill(self) -> None:
        self.times = {}
        for device, step in STEPS.items():
            at, found = FIRST, []
            while at < LAST:
                if not SILENT_FROM <= at < SILENT_UNTIL:
                    found.append(at)
                at += timedelta(minutes=step)
            self.times[device] = found
            self.store(device, [(at, {"energy": 100 + place / 10}) for place, at in enumerate(found)])
        self.run_rollups(at=LAST + timedelta(hours=3))

    def ask_for(self, **query: Any) -> Any:
        return self.get("/api/energy/availability/", tz=ZONE.key, **query)

    def plain(self, device: str, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Quarter-hours with data, before the first reading, and silent."""
        with_reading = {at.timestamp() // 900 for at in self.times[device]}
        first = min(with_reading)
        available = early = silent = 0
        quarter = int(begin.timestamp() // 900)
        while quarter * 900 < end.timestamp():
            back = next((quarter - n for n in range(4) if quarter - n in with_reading), None)
            on = next((quarter + n for n in range(4) if quarter + n in with_reading), None)
            if quarter in with_reading or (back is not None and on is not None and on - back <= 4):
                available += 1
            elif quarter < first:
                early += 1
            else:
                silent += 1
            quarter += 1
        return available, early, silent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("availability")
    app, meters = make_meters(
        home, mongod.uri, "test_availability", (METER,), device_timezone=ZONE.key, **FOR_EVER
    )  # fmt: skip
    found = Site(app, meters.settings)
    found.clear()
    found.fill()
    with app.app_context():
        db.session.add(Device(device_id="fine", types=[DeviceType(type="meter")]))
        db.session.commit()
    for device in STEPS:
        found.good("POST", "/api/energy/points/", _point(device, (device, 1)), code=201)
    found.good("POST", "/api/energy/points/", _point("sum", ("fine", 1), ("rare", -1)), code=201)
    moved = {"ends_at": SILENT_FROM.replace(minute=0).isoformat()}
    found.good("POST", "/api/energy/points/", _point("moved", ("fine", 1), **moved), code=201)
    yield found
    close_app(app)


def _point(name: str, *parts: tuple[str, int], **more: str) -> dict[str, Any]:
    made = [{"type": "meter", "device_id": device, "field": "energy", "sign": sign, **more} for device, sign in parts]
    return {"name": name, "role": "load", "parts": made}


RANGE = {"start_time": "2026-03-01", "end_time": "2026-03-31"}


def test_each_meter_and_month_against_a_plain_count(site: Site) -> None:
    body = site.ask_for(**RANGE).get_json()
    assert body["bucket"] == "month"
    rows = {point["name"]: point for point in body["points"]}
    for device in STEPS:
        available, early, silent = site.plain(device, BEGIN, END)
        [row] = rows[device]["results"]
        expected = (END.astimezone(UTC) - BEGIN.astimezone(UTC)) // QUARTER
        assert (row["bucket"], row["expected"], row["available"]) == ("2026-03", expected, available)
        found = {"not_begun": early, "silence": silent}
        assert row["missing"] == found
        assert row["percent"] == round(100 * available / expected, 2)
        assert {name: row[name] for name in rows[device]["total"]} == rows[device]["total"]
        [part] = rows[device]["parts"]
        assert (part["device_id"], part["available"], part["missing"]) == (device, available, found)


def test_days_add_up_to_the_month(site: Site) -> None:
    month = {point["name"]: point["total"] for point in site.ask_for(**RANGE).get_json()["points"]}
    for point in site.ask_for(**RANGE, bucket="day").get_json()["points"]:
        assert len(point["results"]) == 31
        for key in ("expected", "available"):
            assert sum(row[key] for row in point["results"]) == month[point["name"]][key]
        missing = [row["missing"] for row in point["results"]]
        names = {name for row in missing for name in row}
        assert {name: sum(row.get(name, 0) for row in missing) for name in names} == month[point["name"]]["missing"]


def test_a_sum_is_as_good_as_its_worst_part_and_a_move_leaves_no_meter(site: Site) -> None:
    rows = {point["name"]: point["total"] for point in site.ask_for(**RANGE).get_json()["points"]}
    assert rows["sum"] == rows["rare"]
    late = (END.astimezone(UTC) - SILENT_FROM.replace(minute=0)) // QUARTER
    assert rows["moved"]["missing"]["no_meter"] == late
    assert "silence" not in rows["moved"]["missing"]


def test_the_future_is_not_expected_and_a_silence_goes_on_to_now(site: Site) -> None:
    now = datetime.now(UTC)
    [point, *_] = site.ask_for(start_time="2026-04-01", end_time=(now + timedelta(days=40)).isoformat()).get_json()[
        "points"
    ]
    begin = datetime(2026, 4, 1, tzinfo=ZONE).astimezone(UTC)
    passed = (now - begin) // QUARTER
    assert passed <= point["total"]["expected"] <= passed + 2
    assert point["total"]["missing"].keys() == {"silence"}


def test_what_is_computed_again_and_what_is_left_out_say_so(site: Site) -> None:
    hour = datetime(2026, 3, 20, 12, tzinfo=UTC)
    marks = site.database[INVALIDATIONS]
    mark = {"_id": f"meter/today_/{hour:%Y-%m-%dT%H}/fine", "type": "meter", "prefix": "today_", "device_id": "fine"}
    marks.insert_one({**mark, "hour": hour})
    body = {
        "kind": "exclusion", "type": "meter", "field": "energy", "reason": "a test ran",
        "begin": "2026-03-20T20:00:00Z", "end": "2026-03-20T22:00:00Z",
    }  # fmt: skip
    try:
        made = site.good("POST", "/api/devices/fine/corrections/", body, code=201)
        rows = {point["name"]: point["total"] for point in site.ask_for(**RANGE).get_json()["points"]}
        assert rows["fine"]["missing"]["not_computed"] >= 4
        assert rows["fine"]["missing"]["left_out"] == 8
        assert made
    finally:
        marks.delete_many({})


def test_csv_has_a_row_for_each_point_and_bucket(site: Site) -> None:
    response = site.ask_for(**RANGE, bucket="week", format="csv")
    assert response.content_type.startswith("text/csv")
    rows = list(csv.DictReader(response.text.splitlines()))
    body = site.ask_for(**RANGE, bucket="week").get_json()
    plain = [(point["name"], row) for point in body["points"] for row in point["results"]]
    assert len(rows) == len(plain)
    for row, (name, expected) in zip(rows, plain, strict=True):
        assert (row["name"], row["bucket"], int(row["available"])) == (name, expected["bucket"], expected["available"])
        assert int(row["silence"]) == expected["missing"].get("silence", 0)


def test_too_much_at_once_says_what_to_ask_instead(site: Site) -> None:
    refused(site.ask_for(start_time="1990-01-01", end_time="2026-01-01", bucket="month"), 422)


def test_the_console_says_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_availability, "load_settings", lambda: site.settings)
    monkeypatch.setattr(point_availability, "get_registry", lambda: Registry.of(METER))
    asked = ["availability", "--from", "2026-03-05", "--until", "2026-03-20"]
    found = CliRunner().invoke(points, [*asked, "--csv"])
    assert found.exit_code == 0, (found.output, found.exception)
    rows = {row["name"]: row for row in csv.DictReader(found.output.splitlines())}
    body = site.ask_for(**RANGE).get_json()
    assert rows.keys() == {point["name"] for point in body["points"]}
    for point in body["points"]:
        row, [expected] = rows[point["name"]], point["results"]
        assert (row["month"], int(row["available"])) == ("2026-03", expected["available"])
        assert int(row["silence"]) == expected["missing"].get("silence", 0)
    shown = CliRunner().invoke(points, asked).output.splitlines()
    assert len(shown) == 1 + len(rows)
    assert CliRunner().invoke(points, ["availability", "--from", "2026-03-20", "--until", "2026-03-01"]).exit_code == 2
