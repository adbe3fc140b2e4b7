"""Rolling up one device's readings, and reading further around them where its counters need it.

Which samples of a counter are dips depends on those around them. The readings next to a stretch are read for many
devices at once; where a counter is missing from those, or its last samples are undecided, more are read here, for that
counter alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo.collection import Collection

from greenpower.measure.counter.dip_filter import SAMPLES_AHEAD, SAMPLES_BEFORE
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import NO_DECISIONS
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.source import neighbours
from greenpower.rollups.tier_run import TierRun

NO_NAMES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReadings:
    """The readings of a device within a stretch, and its newest before it, both in order of time."""

    device: str
    before: list[Document]
    inside: list[Document]


def roll_device(
    run: TierRun,
    source: Collection[Document],
    readings: DeviceReadings,
    begin: datetime,
    end: datetime,
    window: int,
) -> Rolled:
    """The buckets of `[begin, end)`. Undeclared fields are accepted as far as there is room. Raises PyMongoError."""
    device, before = readings.device, readings.before
    accepted = run.field_kinds.accepted(device) if run.plan.datatype.open else NO_NAMES

    def roll_with(before: Sequence[Document], after: Sequence[Document], accepted: frozenset[str]) -> Rolled:
        documents = [*before, *readings.inside, *after]
        return roll(
            [document["timestamp"] for document in documents],
            [document["payload"] for document in documents],
            begin=begin,
            end=end,
            length=window,
            spec=run.spec,
            settled_before=run.target,
            decisions=run.decisions.get(device, NO_DECISIONS),
            accepted=accepted,
        )

    rolled = roll_with(before, [], accepted)
    wider, after, again = before, [], False
    if rolled.unknown and (now_accepted := run.field_kinds.accept(device, rolled.unknown)) != accepted:
        accepted, again = now_accepted, True
    if rolled.short and len(before) >= SAMPLES_BEFORE:
        found = (neighbours(source, device, begin, SAMPLES_BEFORE, before=True, field=name) for name in rolled.short)
        wider = _joined(before, found)
        again |= len(wider) > len(before)
    if rolled.open:
        found = (neighbours(source, device, end, SAMPLES_AHEAD, before=False, field=name) for name in rolled.open)
        after = _joined([], found)
        again |= bool(after)
    return roll_with(wider, after, accepted) if again else rolled


def _joined(known: list[Document], more: Iterable[list[Document]]) -> list[Document]:
    """Readings in order of time; of those that are not known, the fields that were asked for."""
    whole = {document["timestamp"] for document in known}
    parts: dict[datetime, Document] = {}
    for documents in more:
        for document in documents:
            if document["timestamp"] not in whole:
                part = parts.setdefault(document["timestamp"], {"timestamp": document["timestamp"], "payload": {}})
                part["payload"].update(document["payload"])
    return sorted([*known, *parts.values()], key=lambda document: document["timestamp"])
