"""The answer of `consumption/`: rows, their sums, what is final, and the boundaries that moved. Without a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from greenpower.api.energy.consumption_report import EnergyReport
from greenpower.api.energy.moved_boundaries import moved_boundaries, nearest_quarter
from greenpower.energy.calendar import Unit
from greenpower.measure.slot import OPEN, SILENCE, UNSETTLED
from greenpower.mongo.energy.pending import PendingHours
from greenpower.mongo.energy.stretch import DeviceEnergy, RegisterReading, Stretch

T0 = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURS = [T0 + number * HOUR for number in range(5)]
LATER = T0 + 9 * HOUR


def counted(number: int, energy: int = 1_000_000, *, minute: int = 50, **more: Any) -> Stretch:
    """The stretch of an hour, with a sample in it."""
    at = HOURS[number] + minute * MINUTE
    return Stretch(energy=energy, samples=1, last=float(number), last_at=at, **more)


def device(*stretches: Stretch, before: datetime | None = T0 - MINUTE) -> DeviceEnergy:
    reading = None if before is None else RegisterReading(value=0.5, at=before)
    return DeviceEnergy(before=reading, stretches=list(stretches))


def report(
    found: Mapping[str, DeviceEnergy],
    *,
    now: datetime = LATER,
    pending: Mapping[str, Sequence[datetime]] | None = None,
    pending_all: bool = False,
    falls: Mapping[str, datetime] | None = None,
) -> dict[str, Any]:
    return EnergyReport(
        found=found,
        boundaries=HOURS,
        unit=Unit.HOUR,
        zone=ZoneInfo("Asia/Kathmandu"),
        now=now,
        pending=PendingHours(by_device=pending or {}, all=pending_all),
        falls=falls or {},
    ).make()


def of(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def test_rows_sums_and_totals() -> None:
    first = device(counted(0), Stretch(), counted(2, 2_500_000, silence_s=4_000, flags=SILENCE), counted(3, 0))
    second = device(*(counted(number, 125_000) for number in range(4)), before=None)
    body = report({"A": first, "B": second})
    assert (body["start"], body["end"]) == ("2026-11-20T15:45:00+05:45", "2026-11-20T19:45:00+05:45")
    a, b = body["devices"]
    assert (a["device_id"], a["total"], a["silence_s"], a["final"]) == ("A", 3.5, 4_000, True)
    assert of(a["results"], "energy") == [1.0, None, 2.5, 0.0]
    assert of(a["results"], "samples") == [1, 0, 1, 1]
    # The register before the start and before the end: what is on the end belongs to the next stretch.
    early, middle = {"at": T0 + 50 * MINUTE, "value": 0.0}, {"at": T0 + 170 * MINUTE, "value": 2.0}
    assert of(a["results"], "first") == [{"at": T0 - MINUTE, "value": 0.5}, early, early, middle]
    assert of(a["results"], "last")[:3] == [early, early, middle]
    assert b["results"][0]["first"] is None and b["total"] == 0.5
    assert of(body["results"], "energy") == [1.125, 0.125, 2.625, 0.125] and body["total"] == 4.0
    # Of the worst device: A was silent in the second hour.
    assert of(body["results"], "coverage") == [0.8333, 0.0, 0.8333, 0.8333]
    assert of(body["results"], "silence_s") == [0, 0, 4_000, 0] and body["silence_s"] == 4_000
    assert all(of(body["results"], "final")) and body["final"]


def test_where_nothing_was_counted_the_total_is_null_and_says_whether_it_is_final() -> None:
    nothing = device(*(Stretch() for _ in range(4)), before=None)
    body = report({"A": nothing})
    assert body["total"] is None and body["devices"][0]["total"] is None
    assert of(body["results"], "energy") == [None] * 4 and body["final"] and body["devices"][0]["final"]
    assert report({})["total"] is None and of(report({})["results"], "energy") == [None] * 4
    assert not report({"A": nothing}, now=HOURS[2])["final"]


def test_a_stretch_is_final_when_it_is_over_and_settled() -> None:
    stretches = (counted(0), counted(1, flags=UNSETTLED), counted(2), counted(3))
    now = HOURS[3] + 30 * MINUTE
    body = report({"A": device(*stretches), "B": device(*(counted(number) for number in range(4)))}, now=now)
    assert of(body["devices"][0]["results"], "final") == [True, False, True, False]
    assert of(body["devices"][1]["results"], "final") == [True, True, True, False]
    assert of(body["results"], "final") == [True, False, True, False]
    assert not body["devices"][1]["final"] and not body["final"]


def test_what_an_incident_withholds_is_undecided() -> None:
    body = report(
        {
            "A": device(counted(0), counted(1, flags=OPEN), counted(2), counted(3)),
            "B": device(*(counted(n) for n in range(4))),
        }
    )
    assert of(body["results"], "undecided") == [False, True, False, False]
    assert body["undecided"] and of(body["devices"], "undecided") == [True, False]


def test_while_a_fall_is_open_all_that_follows_is_undecided() -> None:
    found = {name: device(*(counted(number) for number in range(4))) for name in "AB"}
    body = report(found, falls={"B": HOURS[1] + MINUTE}, now=HOURS[2] + MINUTE)
    assert of(body["results"], "undecided") == [False, True, True, False]
    assert of(body["devices"], "undecided") == [False, True] and body["undecided"]


@pytest.mark.parametrize(
    ("hours", "silent", "before", "wanted"),
    [
        # The last sample of the hour is at 50: a reading after it changes the energy of the hour that follows.
        ([1], (), 0, [True, False, False, True]),
        ([0, 3], (), 0, [False, False, True, False]),
        # However much later the next sample is.
        ([1], (1,), 0, [True, False, False, True]),
        ([1], (2,), 0, [True, False, False, False]),
        ([1], (1, 2, 3), 0, [True, False, False, False]),
        # Before the range: only where no sample lies between.
        ([-3], (), 0, [True, True, True, True]),
        ([-3], (), -4, [False, True, True, True]),
        ([-3], (0, 1), -4, [False, False, False, True]),
        ([], (0, 1), 0, [True, True, True, True]),
    ],
)
def test_a_pending_hour_keeps_open_what_it_can_change(
    hours: list[int], silent: tuple[int, ...], before: int, wanted: list[bool]
) -> None:
    stretches = [Stretch() if number in silent else counted(number) for number in range(4)]
    pending = {"A": [T0 + number * HOUR for number in hours]}
    devices = {
        "A": device(*stretches, before=T0 - MINUTE + before * HOUR),
        "B": device(*(counted(number) for number in range(4))),
    }
    body = report(devices, pending=pending)
    assert of(body["devices"][0]["results"], "final") == wanted
    assert of(body["devices"][1]["results"], "final") == [True] * 4
    assert of(body["results"], "final") == wanted and body["final"] == all(wanted)


def test_with_too_much_pending_nothing_is_final() -> None:
    found = {"A": device(*(counted(number) for number in range(4)))}
    body = report(found, pending_all=True)
    assert not any(of(body["results"], "final")) and not body["final"]


def test_coverage_is_the_part_between_registers() -> None:
    now = HOURS[3] + 30 * MINUTE
    stretches = (
        counted(0, minute=45, first_at=T0 + 15 * MINUTE),
        Stretch(),
        counted(2, minute=59),
        counted(3, minute=15),
    )
    [known] = report({"A": device(*stretches)}, now=now)["devices"]
    assert of(known["results"], "coverage") == [0.75, 0.0, 0.9833, 0.5]
    [unknown] = report({"A": device(*stretches, before=None)}, now=now)["devices"]
    assert of(unknown["results"], "coverage") == [0.5, 0.0, 0.9833, 0.5]


def test_boundaries_that_are_not_on_a_quarter_are_named() -> None:
    at = datetime(1940, 1, 1, 0, 6, 32, tzinfo=UTC)  # Amsterdam had such an offset
    assert nearest_quarter(at) == datetime(1940, 1, 1, tzinfo=UTC)
    assert nearest_quarter(at + 2 * MINUTE) == datetime(1940, 1, 1, 0, 15, tzinfo=UTC)
    boundaries = [at, datetime(1940, 1, 2, tzinfo=UTC)]
    moved = moved_boundaries({}, boundaries, datetime(1900, 1, 1, tzinfo=UTC), HOUR, LATER)
    assert moved == [{"boundary": at, "to": datetime(1940, 1, 1, tzinfo=UTC), "device_id": None, "resolution": "15m"}]
    moved = moved_boundaries({}, boundaries, datetime(1941, 1, 1, tzinfo=UTC), HOUR, LATER)
    assert of(moved, "to") == [None, None]


def test_silent_devices_and_coarse_buckets_are_named() -> None:
    found = {
        "A": device(counted(0), counted(1, minute=5), Stretch(), counted(3)),
        "B": device(*(counted(number, resolution=10_800) for number in range(4))),
    }
    moved = moved_boundaries(found, HOURS, T0 - HOUR, 30 * MINUTE, LATER)
    silent = [(row["boundary"], row["to"]) for row in moved if row["device_id"] == "A"]
    assert silent == [(HOURS[2], HOURS[1] + 5 * MINUTE), (HOURS[3], HOURS[1] + 5 * MINUTE)]
    coarse = [(row["boundary"], row["to"], row["resolution"]) for row in moved if row["device_id"] == "B"]
    nine, twelve = T0 - HOUR, T0 + 2 * HOUR
    assert coarse == [
        (HOURS[0], nine, "3h"), (HOURS[1], nine, "3h"), (HOURS[3], twelve, "3h"), (HOURS[4], twelve, "3h"),
    ]  # fmt: skip
