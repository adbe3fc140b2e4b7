"""What people say of a meter turns its numbers, and what they take back turns them back: all tiers, ledger, incidents.

Two things hold after each turn. The numbers are those of a database that was rolled up from nothing with what is said
now. And what was said and taken back has left nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.schema import layout
from greenpower.mongo.schema.layout import ensure_indexes
from tests.api.conftest import Api, close_app
from tests.api.energy.test_device_incidents import MINUTE, T0, Meter
from tests.rollups.world import ENERGY, POWER, run_all

STEP = 5 * MINUTE
DAY_OF_SAMPLES = 120
# What a run notes of itself.
NOT_NUMBERS = {"_id", "as_of", "updated_at", "found_at", "decided_at", "decided_by", "reason", "settled"}


def rising(begin: float, count: int, step: float = 0.5) -> list[float]:
    return [round(begin + step * number, 3) for number in range(count)]


# Kind of an open incident, and a series that has it after some ten windows of half an hour.
SERIES: dict[str, list[float]] = {
    "suspect_step": [*rising(1000, 60), *rising(3029, 60)],
    "reset": [*rising(1000, 60), *rising(0, 60)],
    "reset after hours": [*rising(1000, 40), *[0.0] * 40, *rising(0.5, 40)],
    "fall": [*rising(1000, 60), *[0.0] * 60],
    "suspect_restart": [*rising(1000, 60), *rising(400, 60)],
    "unit_change": [*rising(1000, 60, 0.05), *rising(1_003_000, 60, 50)],
    "small_fall": [*rising(1000, 40), *rising(1015, 40), *rising(1030, 40)],
    "two falls": [*rising(1000, 40), *rising(0, 40), *rising(300, 40)],
}
# Those that reach furthest run every time, the others with the slow tests.
QUICK = ("suspect_step", "fall", "two falls")
OF_EACH_KIND = [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in SERIES]


@pytest.fixture
def mongo_name(kept_name: str) -> str:
    """The database that a module's tests share, empty."""
    return kept_name


@pytest.fixture
def meter(settings: Settings) -> Iterator[Meter]:
    init_sql(settings)
    app = create_app(settings, Registry.of(POWER, ENERGY))
    api = Api(app, settings)
    ensure_indexes(api.database, (POWER, ENERGY), settings)
    yield Meter(api, settings)
    close_app(app)


def measure(meter: Meter, values: Sequence[float]) -> None:
    """Readings of one counter of both types, rolled up."""
    rows = [(T0 + STEP * number, {"c": value}) for number, value in enumerate(values)]
    for datatype in (POWER, ENERGY):
        meter.store(datatype, "m1", rows)
    roll(meter)


def roll(meter: Meter) -> None:
    """Run the tiers until nothing waits any more."""
    for _ in range(10):
        run_all(meter.db, (POWER, ENERGY), meter.settings, clock=meter.clock)
        if not meter.db[layout.INVALIDATIONS].count_documents({}):
            return
    raise AssertionError(list(meter.db[layout.INVALIDATIONS].find()))


def numbers(meter: Meter, *, undecided: bool = False) -> dict[str, Any]:
    """Every number that is kept of the device, by place. undecided: without the statuses of incidents."""
    found: dict[str, Any] = {}

    def keep(name: str, document: Document, *place: str) -> None:
        key = "/".join([name, *(str(document[part]) for part in place)])
        found[key] = {name: value for name, value in document.items() if name not in NOT_NUMBERS}

    for datatype in (POWER, ENERGY):
        for name in datatype.collections[1:]:
            for document in meter.db[name].find():
                keep(name, document, "device_id", "timestamp")
    for name, last in ((layout.INTERVALS, "day"), (layout.ENERGY_DAYS, "month")):
        for document in meter.db[name].find():
            keep(name, document, "type", "field", last)
    for document in meter.db[layout.INCIDENTS].find({"current": True}):
        keep(layout.INCIDENTS, document, "type", "field", "at", "swap")
        if undecided:
            del found[f"{layout.INCIDENTS}/{document['type']}/{document['field']}/{document['at']}/{document['swap']}"][
                "status"
            ]
    return found


def hold_equal(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Fail with what differs, place by place."""
    lines = []
    for place in sorted(found.keys() | wanted.keys()):
        one, other = found.get(place, {}), wanted.get(place, {})
        names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        lines += [f"{place} {name}: {one.get(name)} is not {other.get(name)}"[:400] for name in names]
    assert not lines, "\n".join(lines[:40])


def from_nothing(meter: Meter) -> dict[str, Any]:
    """The numbers of a database that was rolled up once with what is said now. It is left like that."""
    for datatype in (POWER, ENERGY):
        for name in datatype.collections[1:]:
            meter.db[name].delete_many({})
    for name in (layout.INTERVALS, layout.ENERGY_DAYS, layout.WATERMARKS, layout.ATTEMPTS, layout.INVALIDATIONS):
        meter.db[name].delete_many({})
    meter.db[layout.INCIDENTS].delete_many({"status": {"$in": ["open", "noted"]}})
    roll(meter)
    return numbers(meter)


def counted(meter: Meter) -> float:
    """The energy of the device by the ledger, in kWh."""
    totals: list[int] = [document["total"] for document in meter.db[layout.INTERVALS].find({"type": "power"})]
    return sum(totals) / 10**6


def decide(meter: Meter, status: str, *, only: str = "") -> int:
    """Decide each incident that can be decided. Returns how many are."""
    done = 0
    for found in meter.incidents():
        if only and found["incident"] != only:
            continue
        path = f"/api/devices/{meter.id}/incidents/{found['id']}/"
        done += meter.send("PATCH", path, {"status": status}).status_code == 200
    return done


@pytest.mark.parametrize("kind", OF_EACH_KIND)
def test_decisions_turn_numbers_and_turn_them_back(meter: Meter, kind: str) -> None:
    measure(meter, SERIES[kind])
    before = numbers(meter)
    hold_equal(before, from_nothing(meter))
    for status in ("confirmed", "rejected", "confirmed"):
        assert decide(meter, status) >= 2, meter.incidents()
        roll(meter)
        turned = numbers(meter)
        hold_equal(turned, from_nothing(meter))
        assert decide(meter, "open") >= 2, meter.incidents()
        roll(meter)
        hold_equal(numbers(meter), before)
    decide(meter, "confirmed")
    roll(meter)
    decide(meter, "rejected")
    roll(meter)
    hold_equal(numbers(meter), from_nothing(meter))
    decide(meter, "open")
    roll(meter)
    hold_equal(numbers(meter), before)


@pytest.mark.parametrize("kind", OF_EACH_KIND)
def test_a_swap_and_its_withdrawal(meter: Meter, kind: str) -> None:
    values = SERIES[kind]
    measure(meter, values)
    before = numbers(meter)
    place = next(number for number in range(40, 61) if abs(values[number] - values[number - 1]) > 1)
    for datatype in (POWER, ENERGY):
        body = {
            "type": datatype.name,
            "at": (T0 + STEP * place - MINUTE).isoformat(),
            "readings": {"c": {"last": values[place - 1] + 0.25, "first": max(0, values[place] - 0.25)}},
        }
        assert meter.send("POST", f"/api/devices/{meter.id}/meter-swaps/", body).status_code == 201
    roll(meter)
    swapped = numbers(meter)
    assert swapped != before
    hold_equal(swapped, from_nothing(meter))
    assert decide(meter, "rejected", only="swap") == 2
    roll(meter)
    left = {key: value for key, value in numbers(meter).items() if not key.endswith("/True")}
    hold_equal(left, before)
    assert decide(meter, "confirmed", only="swap") == 2
    roll(meter)
    hold_equal(numbers(meter), swapped)


@pytest.mark.parametrize("kind", OF_EACH_KIND)
@pytest.mark.parametrize("power", [7, *(pytest.param(power, marks=pytest.mark.slow) for power in (1, 100, 50_000))])
def test_a_greatest_power_and_back(meter: Meter, kind: str, power: float) -> None:
    measure(meter, SERIES[kind])
    before = numbers(meter)

    def give(value: float | None) -> None:
        answer = meter.send("PATCH", f"/api/devices/{meter.id}/", {"greatest_power": value})
        assert answer.get_json()["greatest_power"] == value
        roll(meter)

    give(power)
    turned = numbers(meter)
    if (power == 1 and kind != "unit_change") or (kind == "suspect_step" and power == 50_000):
        assert turned != before
    hold_equal(turned, from_nothing(meter))
    give(None)
    hold_equal(numbers(meter), before)


def test_a_greatest_power_decides_what_counts(meter: Meter) -> None:
    """Rises of 0.5 kWh in 5 minutes are 6 kW, and the jump of 2000 kWh is 24 000 kW."""
    measure(meter, SERIES["suspect_step"])
    usual = 59 * 0.5
    assert counted(meter) == 2 * usual
    for power, energy in ((24_500, 2 * usual + 1999.5), (23_900, 2 * usual), (5.9, 0), (6.1, 2 * usual)):
        meter.send("PATCH", f"/api/devices/{meter.id}/", {"greatest_power": power})
        roll(meter)
        assert counted(meter) == energy, power
