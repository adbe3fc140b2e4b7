"""Running the checks on stored readings: what is found is kept, goes on, is dismissed, and is closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from pymongo.database import Database

from greenpower.catalog.registry import get_registry, load_registry
from greenpower.cli.init import init_sql
from greenpower.cli.main import group
from greenpower.config import Settings
from greenpower.datatype import Carrier, PointRole
from greenpower.energy.amount import UNIT, Amount
from greenpower.energy.point import Point, PointPart
from greenpower.energy.site import EnergySite
from greenpower.jobs.wiring import check
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import SEEN, WIRING_FINDINGS, ensure_indexes
from greenpower.mongo.wiring.day import read_minutes
from greenpower.mongo.wiring.document import DISMISSED
from greenpower.mongo.wiring.store import count_findings, judge_finding, open_findings, save_findings
from greenpower.simulator.rewiring import rewired
from greenpower.simulator.value import Measured
from greenpower.wiring import point_days
from greenpower.wiring.day_reader import MeasuredSite
from greenpower.wiring.outcome import NotAsked, WiringFinding
from greenpower.wiring.point_days import ask_trees
from greenpower.wiring.run import CheckedSite, run_checks
from tests.process import environment

NOW = datetime(2026, 3, 3, tzinfo=UTC)
DAY, STEP = timedelta(days=1), timedelta(minutes=15)
REGISTRY = load_registry(None)
POWER, ENERGY = REGISTRY["rt"], REGISTRY["eny_now"]
GOOD, BAD = "33B1226000001", "33B1226000002"


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (POWER, ENERGY), settings)
        yield db


def fill(db: Database[Document], device: str, end: datetime, fault: str = "") -> None:
    """A day of readings of both types, as ingest stores them."""
    for datatype in (POWER, ENERGY):
        fields = [field for field in datatype.fields if field.measures]
        measured = Measured(fields, device)
        documents = []
        for number in range(DAY // STEP):
            at = end - DAY + STEP * number
            values = dict(measured.at(at.timestamp()))
            if fault:
                values = rewired(fields, values, fault, measured.feeder, at.timestamp())
            documents.append({"device_id": device, "timestamp": at, "topic": "t", "payload": values})
        db[datatype.collection].insert_many(documents)
        seen = {"type": datatype.name, "device_id": device, "last_reading": documents[-1]["timestamp"]}
        db[SEEN].replace_one({"_id": f"{datatype.name}|{device}"}, seen, upsert=True)


def site_of(db: Database[Document], settings: Settings, points: tuple[Point, ...] = ()) -> CheckedSite:
    energy = EnergySite(points={point.number: point for point in points}, zones={}, zone_names={}, tariffs={})
    return CheckedSite(db=db, registry=REGISTRY, settings=settings, energy=energy)


def names(db: Database[Document], **where: Any) -> list[str]:
    return sorted(finding["name"] for finding in db[WIRING_FINDINGS].find(where))


def test_a_finding_is_kept_goes_on_is_dismissed_and_is_closed(db: Database[Document], settings: Settings) -> None:
    site = site_of(db, settings)
    fill(db, GOOD, NOW)
    fill(db, BAD, NOW, "voltage-lead")
    run = run_checks(site, NOW, 600)
    assert (run.devices, run.new, run.closed, run.left) == (2, 3, 0, 0)
    found = {finding["name"]: finding for finding in open_findings(db[WIRING_FINDINGS])}
    assert {finding["device_id"] for finding in found.values()} == {BAD}
    assert {name: finding["follows"] for name, finding in found.items()} == {
        "voltage_lead": "", "same_phase": "voltage_lead", "reversed_ct": "voltage_lead",
    }  # fmt: skip
    assert list(open_findings(db[WIRING_FINDINGS], [GOOD])) == []

    # The same day again changes nothing; a day later it goes on.
    assert (again := run_checks(site, NOW, 600)).new == again.closed == 0
    fill(db, BAD, NOW + DAY, "voltage-lead")
    fill(db, GOOD, NOW + DAY)
    assert (later := run_checks(site, NOW + DAY, 600)).new == later.closed == 0
    [lead] = db[WIRING_FINDINGS].find({"name": "voltage_lead"})
    assert (lead["first_seen"], lead["last_seen"]) == (NOW, NOW + DAY)

    dismissed = judge_finding(db[WIRING_FINDINGS], lead["_id"], DISMISSED, "ann", "a test bench", NOW, None)
    assert dismissed is not None and dismissed["state"] == "dismissed" and dismissed["note"] == "a test bench"
    run_checks(site, NOW + DAY, 600)
    assert names(db, state="open") == ["reversed_ct", "same_phase"]
    assert count_findings(db[WIRING_FINDINGS])["voltage_lead", "dismissed"] == 1

    # It was repaired; then it comes back, as a new one.
    fill(db, BAD, NOW + 2 * DAY)
    assert run_checks(site, NOW + 2 * DAY, 600).closed == 3
    assert list(open_findings(db[WIRING_FINDINGS])) == [] and names(db, current=True) == []
    assert judge_finding(db[WIRING_FINDINGS], lead["_id"], DISMISSED, "ann", "", NOW, None) is None
    fill(db, BAD, NOW + 3 * DAY, "voltage-lead")
    assert run_checks(site, NOW + 3 * DAY, 600).new == 3
    assert names(db, state="open", name="voltage_lead") == ["voltage_lead"]


def test_a_day_without_data_closes_nothing_and_an_older_day_says_nothing(
    db: Database[Document], settings: Settings
) -> None:
    site = site_of(db, settings)
    fill(db, BAD, NOW, "frequency")
    run_checks(site, NOW, 600)
    assert run_checks(site, NOW + 5 * DAY, 600).devices == 0
    assert names(db, state="open") == ["frequency"]
    place, finding = (BAD, ""), {"name": "frequency", "saw": "older", "check": "frequency"}
    save_findings(db[WIRING_FINDINGS], {place: [finding]}, [], NOW - DAY)
    save_findings(db[WIRING_FINDINGS], {}, [(BAD, "", "frequency")], NOW - DAY)
    [kept] = open_findings(db[WIRING_FINDINGS])
    assert kept["saw"] != "older" and kept["first_seen"] == NOW - DAY


def test_minutes_equal_those_of_a_plain_loop(db: Database[Document]) -> None:
    times = [NOW + timedelta(seconds=number * 17) for number in range(300)]
    db.minutes.insert_many(
        {"device_id": "one", "timestamp": at, "payload": {("a", "b")[number % 2]: number}}
        for number, at in enumerate(times)
    )
    end = NOW + timedelta(hours=1)
    wanted: dict[int, tuple[float, dict[str, object]]] = {}
    for number, at in enumerate(times):
        if at < end:
            row = wanted.setdefault(int(at.timestamp() // 60), (at.timestamp(), {}))
            row[1].setdefault(("a", "b")[number % 2], number)
    assert read_minutes(db.minutes, "one", ["a", "b"], NOW, end) == list(wanted.values())


def test_the_command_prints_each_check_and_stores_nothing(
    db: Database[Document], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    init_sql(settings)
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    fill(db, BAD, end, "swapped-cts")
    fill(db, GOOD, end)
    shown = CliRunner().invoke(group, ["devices", "check", BAD], env={"COLUMNS": "2000"})
    assert shown.exit_code == 0, shown.output
    assert "swapped_cts" in shown.output and "not asked" in shown.output and "ok (" in shown.output
    every = CliRunner().invoke(group, ["devices", "check"], env={"COLUMNS": "2000"})
    assert "2 devices checked, 1 findings" in every.output and GOOD not in every.output
    assert CliRunner().invoke(group, ["devices", "check", "nobody"]).exit_code == 1
    assert names(db) == []
    # The job stores it.
    assert check()["new"] == 1
    assert names(db, state="open") == ["swapped_cts"]


def point(number: int, role: PointRole, field: str = "zygsz", device: str = GOOD, parent: int | None = None) -> Point:
    part = PointPart(type="eny_now", device_id=device, field=field)
    return Point(
        number=number, name=f"P{number}", carrier=Carrier.ELECTRICITY, role=role, parts=(part,), parent=parent
    )  # fmt: skip


@pytest.mark.parametrize(
    ("points", "wanted"),
    [
        ((), (None, 0)),
        ((point(1, PointRole.LOAD),), (PointRole.LOAD, 1)),
        ((point(1, PointRole.SOLAR, "fygsz"),), (PointRole.SOLAR, -1)),
        ((point(1, PointRole.GRID_IMPORT), point(2, PointRole.GRID_EXPORT, "fygsz")), (PointRole.GRID_IMPORT, 0)),
        ((point(1, PointRole.LOAD), point(2, PointRole.SOLAR, "fygsz")), (PointRole.LOAD, 0)),
    ],
)
def test_the_role_of_a_circuit_is_that_of_its_meter_points(
    points: tuple[Point, ...], wanted: tuple[PointRole | None, int]
) -> None:
    assert MeasuredSite(get_registry(), points).role_of(GOOD, "") == wanted


def test_of_a_tree_only_what_is_known_for_certain_is_compared(
    db: Database[Document], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = (point(1, PointRole.LOAD), point(2, PointRole.LOAD, device=BAD, parent=1))
    certain = Amount(energy=UNIT, counted=True, covered_s=900, passed_s=900)
    amounts = {1: [certain] * 96, 2: [replace(certain, energy=3 * UNIT)] * 96}

    class Read:
        def __init__(self, *given: object) -> None:
            assert [one.number for one in given[3]] == [1, 2]  # type: ignore[attr-defined]

        def read(self) -> SimpleNamespace:
            return SimpleNamespace(amounts=amounts)

    monkeypatch.setattr(point_days, "PointReader", Read)
    energy = site_of(db, settings, points).energy
    [(above, outcome)] = ask_trees(db, REGISTRY, settings, energy, NOW, NOW)
    assert above.number == 1 and isinstance(outcome, WiringFinding) and "P2 alone has about 3 times" in outcome.saw
    for unknown in (
        {"counted": False}, {"covered_s": 600.0}, {"silence_s": 60}, {"estimated": True},
    ):  # fmt: skip
        amounts[1] = [replace(certain, **unknown)] * 96
        [(_, outcome)] = ask_trees(db, REGISTRY, settings, energy, NOW, NOW)
        assert isinstance(outcome, NotAsked)
    amounts[1] = [certain] * 96
    assert run_checks(site_of(db, settings, points), NOW, 60).new == 1
    [kept] = open_findings(db[WIRING_FINDINGS])
    assert (kept["device_id"], kept["circuit"]) == (GOOD, "meter point 1")
