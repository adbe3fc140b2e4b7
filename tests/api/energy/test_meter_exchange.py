"""A meter that is replaced by another, as one step: proposed, recorded, moved, revoked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from greenpower.api.telemetry.tier_views import forget_tier_views
from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.rollups.exchanges import apply_exchange
from greenpower.mongo.schema.layout import ensure_indexes
from tests.api.conftest import Api, close_app
from tests.api.energy.test_device_incidents import MINUTE, T0, Meter
from tests.command import run_cli
from tests.rollups.world import POWER

Document = dict[str, Any]


class Site(Meter):
    """A meter with two counters, and what is done with its exchanges."""

    def __init__(self, api: Api, settings: Settings) -> None:
        super().__init__(api, settings)
        self.change(types=["power"])

    def change(self, **values: Any) -> None:
        assert self.send("PATCH", f"/api/devices/{self.id}/", values).status_code == 200

    def rows(self, *rows: tuple[float, float], device: str = "m1", since: int = 0) -> None:
        """Readings of the counters `c` and `d`, a minute apart, rolled up."""
        readings = [(T0 + MINUTE * (since + index), {"c": c, "d": d}) for index, (c, d) in enumerate(rows)]
        self.store(POWER, device, readings)
        self.roll()

    def counted(self, device: str = "m1") -> dict[str, int]:
        """The energy of both counters in the ledger, in counts."""
        found = {"c": 0, "d": 0}
        for document in self.db.energy_intervals.find({"device_id": device}):
            found[document["field"]] += document["total"]
        return found

    def propose(self, at: datetime, **query: Any) -> Document:
        answer = self.api.get(f"/api/devices/{self.id}/meter-exchange/", at=at.isoformat(), **query)
        assert answer.status_code == 200, answer.text
        found: Document = answer.get_json()
        return found

    def exchange(self, at: datetime, code: int = 201, **body: Any) -> Document:
        content = {"at": at.isoformat(), "reason": "worn out", **body}
        answer = self.send("POST", f"/api/devices/{self.id}/meter-exchange/", content)
        assert answer.status_code == code, answer.text
        found: Document = answer.get_json()
        return found

    def exchanges(self) -> list[Document]:
        found: list[Document] = self.api.get(f"/api/devices/{self.id}/meter-exchanges/").get_json()["results"]
        return found

    def one(self, method: str, exchange: Document, code: int = 200, **body: Any) -> Document:
        path = f"/api/devices/{self.id}/meter-exchanges/{exchange['id']}/"
        path += "?reason=was+wrong" if method == "DELETE" else ""
        answer = self.send(method, path, {"reason": "was wrong", **body} if method == "PATCH" else None)
        assert answer.status_code == code, answer.text
        found: Document = answer.get_json()
        return found

    def snapshot(self) -> Document:
        """Everything that is counted: buckets and ledger, without when it was computed."""
        names = [name for name in self.db.list_collection_names() if name.endswith("power_data")]
        hidden = {"_id": 0, "as_of": 0, "updated_at": 0}
        order = [("device_id", 1), ("timestamp", 1)]
        found: Document = {name: list(self.db[name].find({}, hidden).sort(order)) for name in names}
        ledger = [("device_id", 1), ("field", 1), ("day", 1), ("month", 1)]
        for name in ("energy_intervals", "energy_days"):
            found[name] = list(self.db[name].find({}, hidden).sort(ledger))
        return found


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    init_sql(settings)
    app = create_app(settings, Registry.of(replace(POWER, endpoint="power-data")))
    api = Api(app, settings)
    ensure_indexes(api.database, (POWER,), settings)
    yield Site(api, settings)
    close_app(app)


# The old meter until 12:04, the new one from 12:06 on.
OLD = [(100 + index / 2, 9_000 + index) for index in range(5)]
NEW = [(3 + index / 2, 0.5 + index) for index in range(8)]
AT = T0 + 5 * MINUTE
ACROSS = {"last": 102.25, "first": 2.75}
IN_FORCE = {"revoked_at": None}


@pytest.fixture
def exchanged(site: Site) -> Site:
    """The readings of both meters are there under one id."""
    site.rows(*OLD)
    site.rows(*NEW, since=6)
    return site


def test_the_registers_next_to_the_time_are_proposed(exchanged: Site) -> None:
    found = exchanged.propose(AT)
    assert found["new_device_id"] is None and found["whole_from"] < found["at"]
    registers = {row["field"]: (row["before"]["value"], row["after"]["value"]) for row in found["results"]}
    assert registers == {"c": (102, 3), "d": (9_004, 0.5)}
    [row, _] = found["results"]
    assert (row["type"], row["unit"]) == ("power", "kWh")
    assert row["after"]["at"] == f"{T0 + 6 * MINUTE:%Y-%m-%dT%H:%M:%S}.000Z"
    assert exchanged.db.meter_exchanges.count_documents({}) == 0


@pytest.mark.parametrize(
    ("c", "d"), [(ACROSS, {}), ({}, {}), ({"last": 110}, {"first": 0}), ({"first": 3}, {"last": 9_004.5})]
)
def test_what_is_proposed_to_change_is_what_changes(exchanged: Site, c: Document, d: Document) -> None:
    before = exchanged.counted()
    proposed = {row["field"]: row for row in exchanged.propose(AT)["results"]}
    exchanged.exchange(AT, readings={"power": {"c": c, "d": d}})
    exchanged.roll()
    for field, given in (("c", c), ("d", d)):
        row = proposed[field]
        told = row["change"]
        told += given.get("last", row["before"]["value"]) - row["before"]["value"]
        told += row["after"]["value"] - given.get("first", row["after"]["value"])
        assert exchanged.counted()[field] - before[field] == round(told * 1e6)


def test_what_is_proposed_is_corrected(exchanged: Site) -> None:
    """An exchange is counted with the samples as people have corrected them, so that is what a form shows."""
    for body in (
        {"field": "c", "kind": "factor", "factor": 10, "begin": T0.isoformat(), "end": AT.isoformat()},
        {"field": "c", "kind": "exclusion", "begin": AT.isoformat(), "end": (T0 + 6.5 * MINUTE).isoformat()},
        {"field": "d", "kind": "exclusion", "begin": (T0 + 4 * MINUTE).isoformat(), "end": AT.isoformat()},
    ):
        path = f"/api/devices/{exchanged.id}/corrections/"
        assert exchanged.send("POST", path, {"type": "power", "reason": "wrong", **body}).status_code == 201
    exchanged.roll()
    before = exchanged.counted()
    found = exchanged.propose(AT)["results"]
    registers = {row["field"]: (row["before"]["value"], row["after"]["value"]) for row in found}
    assert registers == {"c": (1_020, 3.5), "d": (9_003, 0.5)}
    exchanged.exchange(AT)
    exchanged.roll()
    after = exchanged.counted()
    assert {row["field"]: round(row["change"] * 1e6) for row in found} == {
        field: after[field] - before[field] for field in after
    }


def test_both_meters_count_all_counters_in_one_step(exchanged: Site) -> None:
    made = exchanged.exchange(AT, readings={"power": {"c": ACROSS}})
    assert made["applied"] and made["made_by"] == "admin" and made["reason"] == "worn out"
    assert made["readings"] == {"power": {"c": ACROSS, "d": {"last": None, "first": None}}}
    exchanged.roll()
    # 0.25 kWh of each meter that was in no reading.
    assert exchanged.counted() == {"c": 2_000_000 + 500_000 + 3_500_000, "d": 4_000_000 + 7_000_000}
    swaps = [found for found in exchanged.incidents() if found["incident"] == "swap"]
    assert {found["field"] for found in swaps} == {"c", "d"}
    for swap in swaps:
        path = f"/api/devices/{exchanged.id}/incidents/{swap['id']}/"
        assert exchanged.send("PATCH", path, {"status": "rejected"}).status_code == 409
    assert exchanged.exchanges() == [made]
    assert exchanged.one("GET", made) == made


def test_a_reading_that_comes_late_loses_and_invents_nothing(exchanged: Site) -> None:
    exchanged.exchange(AT)
    exchanged.roll()
    exchanged.store(POWER, "m1", [(T0 + 4.5 * MINUTE, {"c": 102.25, "d": 9_004.5})])
    exchanged.roll()
    assert exchanged.counted()["c"] == 2_250_000 + 3_500_000


def test_the_same_exchange_again_replaces_the_first(exchanged: Site) -> None:
    first = exchanged.exchange(AT, readings={"power": {"c": ACROSS}})
    again = exchanged.exchange(AT, readings={"power": {"c": {"last": 103, "first": 3}}}, reason="look again")
    assert again["id"] == first["id"] and len(exchanged.exchanges()) == 1
    exchanged.roll()
    assert exchanged.counted()["c"] == 2_000_000 + 1_000_000 + 3_500_000


def test_an_exchange_is_revoked_as_one_and_leaves_every_number_as_it_was(exchanged: Site) -> None:
    before = exchanged.snapshot()
    made = exchanged.exchange(AT, readings={"power": {"c": ACROSS}})
    exchanged.roll()
    assert exchanged.snapshot() != before
    gone = exchanged.one("DELETE", made)
    assert (gone["revoked_by"], gone["revoke_reason"]) == ("admin", "was wrong") and gone["revoked_at"]
    exchanged.roll()
    assert exchanged.snapshot() == before
    assert {found["status"] for found in exchanged.incidents() if found["incident"] == "swap"} == {"rejected"}
    assert exchanged.exchanges() == [gone]
    exchanged.one("DELETE", made, code=409)
    exchanged.one("PATCH", made, code=409, at=AT.isoformat())
    # And it can be entered once more.
    again = exchanged.exchange(AT, readings={"power": {"c": ACROSS}})
    assert again["id"] != made["id"]
    exchanged.roll()
    assert exchanged.counted()["c"] == 6_000_000


def test_an_exchange_at_a_wrong_time_is_moved(exchanged: Site) -> None:
    right = exchanged.exchange(AT, readings={"power": {"c": ACROSS}})
    exchanged.roll()
    wanted = exchanged.snapshot()
    exchanged.one("DELETE", right)
    wrong = exchanged.exchange(T0 + 9 * MINUTE, readings={"power": {"c": ACROSS}})
    exchanged.roll()
    assert exchanged.snapshot() != wanted
    moved = exchanged.one("PATCH", wrong, at=AT.isoformat())
    assert moved["id"] == wrong["id"] and moved["reason"] == "was wrong"
    exchanged.roll()
    assert exchanged.snapshot() == wanted
    assert [found["at"] for found in exchanged.incidents() if found["status"] == "confirmed"] == [moved["at"]] * 2


def test_an_exchange_that_cannot_be_is_refused_where_it_is_wrong(exchanged: Site) -> None:
    def errors(**body: Any) -> Document:
        found: Document = exchanged.exchange(body.pop("at", AT), code=422, **body)["errors"]["json"]
        return found

    assert errors(at=datetime(2096, 1, 1, tzinfo=UTC)).keys() == {"at"}
    assert errors(reason="").keys() == {"reason"} and errors(reason="x" * 301).keys() == {"reason"}
    assert errors(new_device_id="$a")["new_device_id"]
    assert errors(readings={"power": {"g": {}}})["readings"]["power"].keys() == {"g"}
    assert errors(readings={"power": {"c": {"last": -1}}})["readings"]["power"]["c"].keys() == {"last"}
    assert errors(readings={"nothing": {"c": {}}})["readings"].keys() == {"nothing"}
    exchanged.expire(T0 + timedelta(hours=3))
    assert errors().keys() == {"at"}
    assert exchanged.send("POST", "/api/devices/9999/meter-exchange/", {}).status_code == 422
    assert exchanged.db.meter_exchanges.count_documents({}) == 0
    assert exchanged.db.counter_incidents.count_documents({"swap": True}) == 0


def test_a_device_without_registers_has_nothing_to_exchange(site: Site) -> None:
    assert site.propose(AT)["results"] == []
    assert site.exchange(AT, code=422)["errors"]["json"].keys() == {"readings"}


def test_what_has_expired_is_not_revoked(exchanged: Site) -> None:
    made = exchanged.exchange(AT)
    exchanged.expire(T0 + timedelta(hours=3))
    exchanged.one("DELETE", made, code=409)
    exchanged.one("PATCH", made, code=422, at=(T0 + timedelta(hours=1)).isoformat())


def test_a_new_device_takes_over_and_gives_back(site: Site) -> None:
    zone = site.send("POST", "/api/service-zones/", {"name": "Block A"}).get_json()["id"]
    site.change(name="Main", zone_id=zone, greatest_power=60)
    site.rows(*OLD)
    made = site.exchange(AT, new_device_id="m2", readings={"power": {"c": ACROSS}})
    assert made["new_device_id"] == "m2"

    def device(name: str) -> Document:
        [found] = site.api.get("/api/devices/", device_id=name).get_json()["results"]
        return dict(found)

    new = device("m2")
    assert (new["name"], new["zone"]["id"], new["greatest_power"]) == ("Main", zone, 60)
    assert new["types"] == ["power"] and (new["replaces"], new["replaced_by"]) == ("m1", None)
    assert (device("m1")["replaces"], device("m1")["replaced_by"]) == (None, "m2")
    assert site.exchange(AT + MINUTE, code=409, new_device_id="m3")["message"]
    assert site.exchange(AT, code=409)["message"]
    listed = site.api.get(f"/api/devices/{new['id']}/meter-exchanges/").get_json()["results"]
    assert listed == [made]
    moved = site.one("PATCH", made, at=(AT + MINUTE).isoformat())
    kept = {(one["device_id"], one["side"], one["register"]): one for one in site.db.corrections.find(IN_FORCE)}
    assert kept.keys() == {("m1", "old", 102.25), ("m2", "new", 2.75)}
    assert {one["begin"] for one in kept.values()} == {AT + MINUTE} and moved["new_device_id"] == "m2"
    site.one("DELETE", made)
    assert site.db.corrections.count_documents(IN_FORCE) == 0 < site.db.corrections.count_documents({})
    new = device("m2")
    assert (new["name"], new["zone"], new["greatest_power"], new["replaces"]) == ("", None, None, None)
    assert device("m1")["replaced_by"] is None


@pytest.fixture
def parted(site: Site) -> Site:
    """The readings of both meters are there, each under an id of its own, and the exchange is entered."""
    site.rows(*OLD)
    site.rows(*NEW, device="m2", since=6)
    return site


def used(site: Site, device: str) -> int:
    """What `consumption/` says of the day of a device, in counts."""
    forget_tier_views(site.api.app)
    day = {"start_time": T0.isoformat(), "end_time": (T0 + timedelta(hours=12)).isoformat(), "tz": "UTC"}
    query = {"device_id": device, "field": "c", "bucket": "hour", **day}
    answer = site.api.get("/api/telemetry/power-data/consumption/", **query)
    assert answer.status_code == 200, answer.text
    return round((answer.get_json()["total"] or 0) * 1e6)


def test_a_new_device_goes_on_where_the_old_one_ended(parted: Site) -> None:
    before = (used(parted, "m1"), used(parted, "m2"))
    assert before == (2_000_000, 3_500_000)
    made = parted.exchange(AT, new_device_id="m2", readings={"power": {"c": ACROSS}})
    parted.roll()
    assert (used(parted, "m1"), used(parted, "m2")) == (2_000_000 + 250_000, 250_000 + 3_500_000)
    # A reading that comes late is a part of what the old meter counted up to its last register.
    parted.store(POWER, "m1", [(T0 + 4.5 * MINUTE, {"c": 102.125})])
    parted.roll()
    assert used(parted, "m1") == 2_250_000
    # The old meter goes on elsewhere, under its id.
    parted.rows((102.25, 9_100), (102.75, 9_101), (103.25, 9_102), device="m1", since=60)
    parted.roll()
    assert used(parted, "m1") == 2_250_000 + 1_000_000
    parted.one("DELETE", made)
    parted.roll()
    assert (used(parted, "m1"), used(parted, "m2")) == (3_250_000, 3_500_000)


def test_a_device_that_has_sent_before_begins_at_its_exchange(parted: Site) -> None:
    parted.rows((2, 0.25), (2.5, 0.25), device="m2")
    parted.exchange(AT, new_device_id="m2", readings={"power": {"c": ACROSS}})
    parted.roll()
    # 0.5 in the workshop, then from 2.75 on.
    assert used(parted, "m2") == 500_000 + 250_000 + 3_500_000


def test_a_device_whose_samples_before_are_left_out_begins_with_its_register(parted: Site) -> None:
    parted.rows((2, 0.25), (2.5, 0.25), device="m2")
    new = parted.send("POST", "/api/devices/", {"device_id": "m2", "name": "new"}).get_json()
    body = {"type": "power", "field": "c", "kind": "exclusion", "begin": T0.isoformat(), "end": AT.isoformat()}
    path = f"/api/devices/{new['id']}/corrections/"
    assert parted.send("POST", path, {**body, "reason": "in the workshop"}).status_code == 201
    parted.exchange(AT, new_device_id="m2", readings={"power": {"c": ACROSS}})
    parted.roll()
    assert used(parted, "m2") == 250_000 + 3_500_000


def test_an_exchange_that_was_cut_short_is_finished(exchanged: Site) -> None:
    made = exchanged.exchange(AT, readings={"power": {"c": ACROSS}})
    exchanged.roll()
    counted = exchanged.counted()
    documents = exchanged.db.meter_exchanges
    exchanged.one("DELETE", made)
    exchanged.roll()
    # As a request leaves it that ends right after its document is written.
    change = {"applied": False, "revoked_at": None}
    documents.update_one({}, {"$set": change, "$unset": {"revoked_by": "", "revoke_reason": ""}})
    assert not exchanged.exchanges()[0]["applied"]
    [document] = documents.find()
    apply_exchange(exchanged.db, (POWER,), exchanged.settings, document)
    exchanged.roll()
    assert exchanged.counted() == counted and exchanged.exchanges()[0]["applied"]


def test_the_console_records_and_revokes(
    exchanged: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("greenpower.app.load_registry", lambda *_: Registry.of(POWER))
    before = exchanged.snapshot()

    def run(*more: str, code: int = 0) -> str:
        at = ("--at", AT.isoformat(), "--reason", "worn out")
        arguments = ("devices", "exchange", "m1", *at, *more)
        assert run_cli(monkeypatch, tmp_path, *arguments, settings=exchanged.settings) == code
        return capsys.readouterr().out

    assert "102.25" in run("--register", "power.c=102.25/2.75", "--dry-run") and exchanged.exchanges() == []
    run("--register", "power.c=102.25/")
    [made] = exchanged.exchanges()
    assert made["made_by"] == "console" and made["readings"]["power"]["c"] == {"last": 102.25, "first": None}
    run("--revoke")
    exchanged.roll()
    assert exchanged.snapshot() == before
    run("--revoke", code=2)
    for wrong in ("power.c", "power.c=1", "power.c=a/b"):
        run("--register", wrong, code=2)
    run("--register", "power.g=1/2", code=2)
