"""Divisors over the API: what amounts are per m² and per piece, against a plain recomputation; what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.sql import Device, DeviceType
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.api.conftest import close_app, refused
from tests.api.energy.meter import METER, Reading, make_meters
from tests.api.energy.test_periods import BEGIN, END, FIRST, LAST, STEP, Site
from tests.api.energy.test_points import FOR_EVER, ZONE

PATH = "/api/energy/divisors/"
DAY = timedelta(days=1)
GREW = date(2026, 3, 11)
AREA = {
    "unit": "m²",
    "values": [{"valid_from": "2026-03-11", "value": "1250"}, {"valid_from": "2026-01-01", "value": "1000"}],
}
#: local days on which no piece was made, and on which the counter said nothing
IDLE, SILENT = date(2026, 3, 7), date(2026, 3, 20)


class Factory(Site):
    """The site of closed months, and a machine that makes pieces."""

    made: dict[datetime, int]
    area: int
    pieces: int

    def fill(self) -> None:
        """More pieces at some hours than at others."""
        super().fill()
        self.made, shown, at = {}, 1_000, FIRST
        readings: list[Reading] = []
        while at < LAST:
            local = at.astimezone(ZONE)
            if local.date() != SILENT:
                more = 0 if local.date() == IDLE else 2 + local.hour % 3
                shown += more
                self.made[at] = more if readings else 0
                readings.append((at, {"energy": shown}))
            at += STEP
        self.store("press", readings)
        with self.app.app_context():
            db.session.add(Device(device_id="press", types=[DeviceType(type="meter")]))
            db.session.commit()
        hours = {Place.of("meter", METER.tiers[0].prefix, "press", at) for at, _ in readings}
        invalidate(self.database[INVALIDATIONS], hours)
        for _ in range(2):
            self.run_rollups(at=LAST + timedelta(hours=3))
        counter = {"type": "meter", "device_id": "press", "field": "energy"}
        self.area = self.good("POST", PATH, {"name": "Area", **AREA}, code=201)["id"]
        self.pieces = self.good("POST", PATH, {"name": "Pieces", "unit": "p", "counter": counter}, code=201)["id"]

    def asked(self, what: str, bucket: str, per: int, **query: Any) -> dict[str, Any]:
        response = self.get(
            f"/api/energy/{what}/", tz=ZONE.key, bucket=bucket, per=per,
            **{"start_time": "2026-03-01", "end_time": "2026-03-31", **query},
        )  # fmt: skip
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.get_json()
        return found

    def made_in(self, begin: datetime, end: datetime) -> int:
        return sum(count for at, count in self.made.items() if begin <= at < end)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Factory]:
    app, meters = make_meters(
        tmp_path_factory.mktemp("divisors"), mongod.uri, "test_divisors", (METER,), device_timezone=ZONE.key, **FOR_EVER
    )
    found = Factory(app, meters.settings)
    found.clear()
    found.fill()
    yield found
    close_app(app)


def area_in(begin: datetime, end: datetime) -> Decimal:
    """Half hour by half hour."""
    steps = [begin.astimezone(UTC) + place * STEP for place in range((end - begin) // STEP)]
    return sum((Decimal(1250 if at.astimezone(ZONE).date() >= GREW else 1000) for at in steps), Decimal(0)) / len(steps)


def amount(what: str, row: dict[str, Any]) -> Decimal:
    return Decimal(str(row[{"consumption": "energy", "cost": "amount", "emissions": "kg"}[what]]))


@pytest.mark.parametrize("bucket", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("what", ["consumption", "cost", "emissions"])
def test_each_bucket_and_the_whole_per_square_metre(site: Factory, what: str, bucket: str) -> None:
    body = site.asked(what, bucket, site.area)
    assert body["per"] == {"divisor_id": site.area, "name": "Area", "unit": "m²"}
    for point in body["points"]:
        for row in (*point["results"], {**point["total"], "start": body["start"], "end": body["end"]}):
            begin, end = (datetime.fromisoformat(row[name]).astimezone(UTC) for name in ("start", "end"))
            divisor = area_in(begin, end)
            energy = row if what == "consumption" else row["energy"]
            assert row["per"]["divisor"] == pytest.approx(float(divisor))
            assert row["per"]["value"] == pytest.approx(float(amount(what, row) / divisor))
            assert (row["per"]["final"], row["per"]["coverage"]) == (energy["final"], energy["coverage"])


@pytest.mark.parametrize("bucket", ["day", "month"])
def test_each_bucket_and_the_whole_per_piece(site: Factory, bucket: str) -> None:
    for what in ("consumption", "cost", "emissions"):
        body = site.asked(what, bucket, site.pieces)
        for point in body["points"]:
            for row in (*point["results"], {**point["total"], "start": body["start"], "end": body["end"]}):
                begin, end = (datetime.fromisoformat(row[name]) for name in ("start", "end"))
                pieces, per = site.made_in(begin, end), row["per"]
                if bucket == "day" and row.get("bucket") in (f"{IDLE}", f"{SILENT}"):
                    reason = "zero" if row["bucket"] == f"{IDLE}" else "missing"
                    assert (per["value"], per["reason"]) == (None, reason)
                    continue
                assert (per["divisor"], per["reason"]) == (pieces, None)
                assert per["value"] == pytest.approx(float(amount(what, row) / pieces))
                assert per["coverage"] <= (row if what == "consumption" else row["energy"])["coverage"]


def test_the_total_is_no_sum_of_quotients(site: Factory) -> None:
    [point, *_] = site.asked("consumption", "day", site.pieces)["points"]
    each = [row["per"]["value"] for row in point["results"]]
    pieces = site.made_in(BEGIN, END)
    assert point["total"]["per"]["value"] == pytest.approx(point["total"]["energy"] / pieces)
    assert sum(filter(None, each)) > 20 * point["total"]["per"]["value"]


def test_why_there_is_none(site: Factory) -> None:
    """Before anything was measured; before the first value; while the divisor is computed again."""
    early = {"start_time": "2026-01-10", "end_time": "2026-01-11"}
    for divisor in (site.area, site.pieces):
        for point in site.asked("consumption", "day", divisor, **early)["points"]:
            assert [row["per"]["reason"] for row in point["results"]] == ["no_amount", "no_amount"]
    changed = site.good("PATCH", f"{PATH}{site.area}/", {"values": AREA["values"][:1]})
    assert [one["valid_from"] for one in changed["values"]] == ["2026-03-11"]
    [point, *_] = site.asked("consumption", "day", site.area)["points"]
    reasons = [row["per"]["reason"] for row in point["results"]]
    assert reasons == ["missing"] * 10 + [None] * 21 and point["total"]["per"]["reason"] == "missing"
    site.good("PATCH", f"{PATH}{site.area}/", {"values": AREA["values"]})
    at = datetime(2026, 3, 12, 12, tzinfo=UTC)
    invalidate(site.database[INVALIDATIONS], {Place.of("meter", METER.tiers[0].prefix, "press", at)})
    try:
        [point, *_] = site.asked("consumption", "day", site.pieces)["points"]
        row = point["results"][11]
        assert (row["final"], row["per"]["value"], row["per"]["reason"], row["per"]["final"]) == (
            True, None, "not_final", False,
        )  # fmt: skip
        assert point["total"]["per"]["reason"] == "not_final"
    finally:
        for _ in range(2):
            site.run_rollups(at=LAST + timedelta(hours=3))


def test_without_it_nothing_is_divided(site: Factory) -> None:
    body = site.month("consumption")
    assert "per" not in body and all("per" not in row for point in body["points"] for row in point["results"])
    assert refused(site.get("/api/energy/consumption/", per=999), 422)
    assert refused(site.get("/api/energy/cost/", per=0), 422)


def test_divisors_are_made_changed_and_deleted(site: Factory) -> None:
    made = site.good("POST", PATH, {"name": "Beds", "unit": "beds", "values": AREA["values"]}, code=201)
    assert [one["value"] for one in made["values"]] == ["1000", "1250"]
    assert (made["kind"], made["counter"], made["zone_id"]) == ("constant", None, None)
    assert site.good("GET", f"{PATH}{made['id']}/") == made
    assert refused(site.ask("POST", PATH, {"name": "Beds", **AREA}), 409)
    zone = site.good("POST", "/api/service-zones/", {"name": "Ward"}, code=201)["id"]
    counter = {"type": "meter", "device_id": "press", "field": "energy"}
    changed = site.good("PATCH", f"{PATH}{made['id']}/", {"counter": counter, "zone_id": zone})
    assert (changed["kind"], changed["values"], changed["counter"]) == ("counter", [], counter)
    assert [row["name"] for row in site.get(PATH).get_json()["results"]] == ["Area", "Beds", "Pieces"]
    site.good("DELETE", f"{PATH}{made['id']}/", code=204)
    assert refused(site.ask("GET", f"{PATH}{made['id']}/"), 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"values": []},
        {"values": [{"valid_from": "2026-01-01", "value": "-5"}]},
        {"values": [{"valid_from": "2026-01-01", "value": "5,5"}]},
        {"values": [{"valid_from": "2026-01-01", "value": "5"}, {"valid_from": "2026-01-01", "value": "6"}]},
        {"values": [{"valid_from": "0001-01-01", "value": "5"}]},
        {"values": [{"valid_from": "9999-12-31", "value": "5"}]},
        {"counter": {"type": "meter", "device_id": "press", "field": "volts"}},
        {"counter": {"type": "nope", "device_id": "press", "field": "energy"}},
        {"counter": {"type": "meter", "device_id": "nobody", "field": "energy"}},
        {"values": AREA["values"], "counter": {"type": "meter", "device_id": "press", "field": "energy"}},
        {"values": AREA["values"], "zone_id": 999},
    ],
)
def test_what_cannot_be_a_divisor(site: Factory, body: dict[str, Any]) -> None:
    assert refused(site.ask("POST", PATH, {"name": "x", "unit": "m²", **body}), 422)
