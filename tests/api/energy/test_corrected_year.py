"""A year of a meter with one correction of each kind, beside a twin that nobody corrects.

Bills, charts and exports say the same of it, and every number that is not the twin's names its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.rollups.decisions import decide, record_swap
from greenpower.mongo.rollups.incident_changes import invalidate_changed_incidents
from greenpower.mongo.rollups.incidents import CONFIRMED
from greenpower.mongo.schema.layout import INCIDENTS
from tests.api.energy.corrected import DAY, HOUR, consumption, correct, counts, to_counts, withdraw
from tests.api.energy.meter import METER, PATH, RATE, Meters
from tests.measure.plain_counter import count
from tests.measure.plain_series import PlainMeter

DAYS = 350
TWIN = "T1"
EXCLUDED, UNIT, FIXED, SILENT, SWAPPED, JUMPED = 40, 80, 120, 150, 200, 240
UNIT_DAYS = 10
FIXED_COUNTS = 5_000_000
BEFORE_SWAP, AFTER_SWAP = 0.2, 0.1
PLAIN = PlainMeter(rate=RATE, floor=50, stale_after=METER.stale_after)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def registers(begin: datetime) -> Iterator[tuple[datetime, float]]:
    """A register each hour: in Wh for ten days, silent for a day and a half, exchanged, and with one large load."""
    milli = 100_000
    for hour in range(DAYS * 24):
        day, time = hour // 24, begin + hour * HOUR
        milli += 200 + 37 * (hour % 7)
        if (day, hour % 24) == (SWAPPED, 9):
            milli = 3_000
        if (day, hour % 24) == (JUMPED, 15):
            milli += 4_000_000
        if SILENT * 24 + 6 <= hour < (SILENT + 1) * 24 + 18:
            continue
        yield time, milli / (1 if UNIT <= day < UNIT + UNIT_DAYS else 1000)


class Year:
    """The year of a meter and its twin, rolled up, and what people put right in the meter's."""

    def __init__(self, meters: Meters) -> None:
        self.meters = meters
        self.begin = meters.now.replace(hour=0, minute=0, second=0, microsecond=0) - (DAYS + 1) * DAY
        self.end = self.begin + DAYS * DAY
        self.samples = list(registers(self.begin))
        for device in ("M1", TWIN):
            meters.store(device, [(time, {"energy": register}) for time, register in self.samples])
        meters.run_rollups()

    def at(self, day: int, hours: int = 0) -> datetime:
        return self.begin + day * DAY + hours * HOUR

    def correct(self) -> list[Any]:
        """One of each. Returns the ids of the corrections."""
        meters, at = self.meters, self.at
        kinds = CorrectionKind
        made = [
            correct(meters, kinds.EXCLUSION, at(EXCLUDED, 10), at(EXCLUDED, 13)),
            correct(meters, kinds.FACTOR, at(UNIT), at(UNIT + UNIT_DAYS), factor=0.001),
            correct(meters, kinds.FIXED, at(FIXED), at(FIXED + 1), energy=FIXED_COUNTS),
            correct(meters, kinds.ESTIMATE, at(SILENT, 5), at(SILENT + 1, 19), method="evenly"),
        ]
        incidents = meters.database[INCIDENTS]
        before = dict(self.samples)[at(SWAPPED, 8)]
        shown = {"energy": (before + BEFORE_SWAP, 3.0 - AFTER_SWAP)}
        record_swap(incidents, "meter", "M1", at(SWAPPED, 9), shown, "ann", "worn out")
        jump = incidents.find_one({"device_id": "M1", "at": at(JUMPED, 15)})
        assert jump is not None and jump["incident"] == "suspect_step"
        decide(incidents, jump, CONFIRMED, "ann", "the new furnace")
        self.run_job()
        return made

    def run_job(self) -> None:
        """What the job and the next runs of the rollups do."""
        for finish in (invalidate_changed_corrections, invalidate_changed_incidents):
            finish(self.meters.database, self.meters.types, self.meters.settings)
        self.meters.run_rollups()

    def ask(self, bucket: str, device: str = "M1") -> dict[str, Any]:
        return consumption(self.meters, self.begin, self.end, bucket, device_id=device)

    def exported(self, device: str) -> list[dict[str, Any]]:
        response = self.meters.get(f"{PATH}export/", device_id=device, resolution="6h", format="ndjson")
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]

    def listed(self, device: str) -> list[dict[str, Any]]:
        """All rows of six hours, with their statistics."""
        found: list[dict[str, Any]] = []
        asked = {"device_id": device, "resolution": "6h", "stats": "true", "order": "asc", "page_size": 1000}
        for page in (1, 2):
            found += self.meters.body(PATH, **asked, page=page)["results"]
        return found


@pytest.fixture
def year(meters: Meters) -> Year:
    return Year(meters)


def energy_by_day(rows: list[dict[str, Any]]) -> dict[datetime, Fraction]:
    """What the registers of buckets counted, by day: within each, and from the one before it."""
    found: dict[datetime, Fraction] = {}
    last = None
    for row in rows:
        state, day = row["stats"]["energy"], datetime.fromisoformat(row["timestamp"]).replace(hour=0)
        step = Fraction() if last is None else Fraction(str(state["first"])) - Fraction(str(last))
        found[day] = found.get(day, Fraction()) + step + Fraction(str(state["energy"]))
        last = state["last"]
    return found


def test_a_year_with_one_correction_of_each_kind(year: Year) -> None:
    rows_before, days_before = year.exported("M1"), counts(year.ask("day"))
    made = year.correct()

    # The bill by months, the chart by days, and hours of some days: one sum.
    bill, chart, twin = year.ask("month"), year.ask("day"), year.ask("day", TWIN)
    days = counts(chart)
    assert to_counts(bill["total"]) == to_counts(chart["total"]) == sum(value or 0 for value in days.values())
    for day in (EXCLUDED, UNIT, FIXED, SILENT, SWAPPED, JUMPED):
        answer = consumption(year.meters, year.at(day), year.at(day + 1), "hour")
        assert sum(value or 0 for value in counts(answer).values()) == days[year.at(day).astimezone(UTC)]

    # What each did.
    other = counts(twin)
    assert days[year.at(FIXED)] == FIXED_COUNTS
    assert days[year.at(EXCLUDED)] == other[year.at(EXCLUDED)]
    assert (days[year.at(SILENT)] or 0) > (other[year.at(SILENT)] or 0)
    assert (days[year.at(JUMPED)] or 0) - (other[year.at(JUMPED)] or 0) >= 4_000 * 10**6
    assert other[year.at(UNIT + 3)] in (0, None) and (days[year.at(UNIT + 3)] or 0) > 7 * 10**6

    # The export: the same registers as the list, and what they counted is the chart, but for what was given as energy.
    rows, twins = year.exported("M1"), {row["timestamp"]: row for row in year.exported(TWIN)}
    listed = year.listed("M1")
    keys = ("timestamp", "payload", "corrections")
    assert [{key: row.get(key) for key in keys} for row in listed] == [
        {key: row.get(key) for key in keys} for row in rows
    ]
    assert len(rows) > 1000
    by_energy = {year.at(day) for day in (FIXED, SILENT, SILENT + 1, SWAPPED)}
    for start, energy in energy_by_day(listed).items():
        if start not in by_energy:
            assert abs(float(energy) - (days[start] or 0) / 10**6) < 1e-6, start

    # Every number that is not the twin's names its reason.
    named = {item["id"] for item in chart["corrections"]}
    assert named == {str(one) for one in made}
    assert all(item["reason"] and item["made_by"] and item["made_at"] for item in chart["corrections"])
    decided = {
        datetime.fromisoformat(item["at"]).astimezone(UTC).replace(hour=0)
        for item in year.meters.body("/api/incidents/", device_id="M1", page_size=1000)["results"]
        if item["reason"] and item["decided_by"]
    }
    for row in chart["devices"][0]["results"]:
        start = datetime.fromisoformat(row["bucket"]).astimezone(UTC)
        if days.get(start) != other.get(start):
            assert row.get("corrections") or start in decided, f"{start:%Y-%m-%d} says not why"
    for row in rows:
        if row["payload"] != twins[row["timestamp"]]["payload"]:
            assert row["corrections"], row["timestamp"]

    # Withdrawn, all that corrections of samples and energy did is gone.
    for one in made:
        withdraw(year.meters, one)
    year.run_job()
    again = year.ask("day")
    assert again["corrections"] == []
    wanted = count(year.samples, PLAIN)
    for start, found in counts(again).items():
        assert start in decided or (found or 0) == (wanted.energy(start, start + DAY) or 0), start
        assert start in decided or found == days_before[start], start
    assert [row["payload"] for row in year.exported("M1")] == [row["payload"] for row in rows_before]
