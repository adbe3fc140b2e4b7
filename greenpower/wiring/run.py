"""Running the checks over devices: a batch at a time, and what they found is stored.

What belongs here: which devices, which day, and from outcomes to documents. What does not: the checks, queries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.energy.site import EnergySite
from greenpower.mongo.client import Document
from greenpower.mongo.devices.zones import DeviceZones, read_zones
from greenpower.mongo.schema.layout import WIRING_FINDINGS
from greenpower.mongo.wiring.day import measured_devices
from greenpower.mongo.wiring.store import current_places, save_findings
from greenpower.wiring.ask import CheckAnswer, ask_all
from greenpower.wiring.day_reader import MeasuredSite, read_circuits
from greenpower.wiring.outcome import NotAsked, Outcome, WiringFinding
from greenpower.wiring.point_days import ask_trees
from greenpower.wiring.tree import CHILDREN_CHECK
from greenpower.wiring.tree import FAULT as CHILDREN_FAULT

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
#: the ledger of quarter-hours is behind the readings by less than this
LEDGER_LAG = timedelta(hours=1)
DEVICES_PER_BATCH = 50
#: devices of one run begin at another one each day, so that none is always behind the end of the time
ROTATION = 7_919


@dataclass(slots=True)
class WiringRun:
    """What a run did. left: devices for which there was no time."""

    devices: int = 0
    found: int = 0
    new: int = 0
    closed: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSite:
    """What a run works on."""

    db: Database[Document]
    registry: Registry
    settings: Settings
    energy: EnergySite

    def measured(self) -> MeasuredSite:
        """Its fields and points."""
        return MeasuredSite(self.registry, tuple(self.energy.points.values()))


def check_devices(
    site: CheckedSite, begin: datetime, end: datetime, device: str | None = None
) -> Iterator[tuple[str, list[CheckAnswer]]]:
    """Each device that measured something in `[begin, end)`, and the answers of all its circuits. Raises
    PyMongoError."""
    measured = site.measured()
    devices = measured_devices(site.db, measured.fields, begin, device)
    order = list(devices)
    first = (end.toordinal() * ROTATION) % len(order) if order else 0
    order = order[first:] + order[:first]
    for number in range(0, len(order), DEVICES_PER_BATCH):
        batch = order[number : number + DEVICES_PER_BATCH]
        zones = DeviceZones(default=site.settings.device_zone, own=read_zones(site.db, batch))
        for name in batch:
            circuits = read_circuits(site.db, measured, name, devices[name], begin, end, zones.of(name))
            yield name, [answer for circuit in circuits for answer in ask_all(circuit)]


def run_checks(site: CheckedSite, now: datetime, seconds: float) -> WiringRun:
    """Check the last 24 hours of all devices and store what is found, for so many seconds at most. Raises
    PyMongoError; what was stored before stays, and a run may be repeated."""
    run, deadline = WiringRun(), time.monotonic() + seconds
    end = now.replace(second=0, microsecond=0)
    wanted = measured_devices(site.db, site.measured().fields, end - DAY)
    for device, answers in check_devices(site, end - DAY, end):
        _store(site.db, run, device, ((answer.circuit, answer) for answer in answers), end)
        run.devices += 1
        if time.monotonic() > deadline:
            run.left = max(0, len(wanted) - run.devices)
            log.warning("no time to check the wiring of %d devices; the next run begins with others", run.left)
            break
    quarter = (end - LEDGER_LAG).replace(minute=(end - LEDGER_LAG).minute // 15 * 15)
    for point, outcome in ask_trees(site.db, site.registry, site.settings, site.energy, quarter, now):
        place = f"meter point {point.number}"
        _store_outcomes(
            site.db, run, point.parts[0].device_id, [(place, CHILDREN_CHECK, _names_of_tree(), outcome)], end
        )
    return run


def _names_of_tree() -> tuple[str, ...]:
    return (CHILDREN_FAULT.name,)


def _store(
    db: Database[Document], run: WiringRun, device: str, answers: Iterable[tuple[str, CheckAnswer]], end: datetime
) -> None:
    _store_outcomes(
        db, run, device,
        [
            (circuit, answer.check.name, tuple(fault.name for fault in answer.check.faults), answer.outcome)
            for circuit, answer in answers
        ],
        end,
    )  # fmt: skip


def _store_outcomes(
    db: Database[Document],
    run: WiringRun,
    device: str,
    outcomes: Iterable[tuple[str, str, tuple[str, ...], Outcome]],
    end: datetime,
) -> None:
    """outcomes: circuit, check, the faults that it can name, and what it said."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    passed: list[tuple[str, str, str]] = []
    for circuit, check, names, outcome in outcomes:
        if isinstance(outcome, NotAsked):
            continue
        seen = ""
        if isinstance(outcome, WiringFinding):
            seen = outcome.name
            found.setdefault((device, circuit), []).append(document_of(check, outcome))
            run.found += 1
        passed += [(device, circuit, name) for name in names if name != seen]
    there = current_places(db[WIRING_FINDINGS], [device])
    new, closed = save_findings(db[WIRING_FINDINGS], found, [place for place in passed if place in there], end)
    run.new += new
    run.closed += closed


def document_of(check: str, finding: WiringFinding) -> dict[str, Any]:
    """The keys of a finding in its document, other than its place, times and state."""
    return {
        "name": finding.name,
        "check": check,
        "phases": list(finding.phases),
        "certainty": finding.certainty.value,
        "saw": finding.saw,
        "figures": {name: round(value, 6) for name, value in finding.figures.items()},
        "faulty": finding.faulty,
        "samples": finding.samples,
        "follows": finding.follows,
    }


def day_of(day: datetime | None, settings: Settings, now: datetime) -> tuple[datetime, datetime]:
    """The stretch to check: a local day, or the last 24 hours."""
    if day is None:
        return now - DAY, now
    begin = day.replace(tzinfo=settings.device_zone)
    return begin.astimezone(UTC), (begin + DAY).astimezone(UTC)
