"""Data availability of meter points, from the interval ledger and the readings after it.

What belongs here: which counters are read, and what explains their gaps. What does not: what counts as missing
(`availability`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from greenpower.energy.availability import (
    MAX_GAP,
    QUARTER,
    Availability,
    Gaps,
    MissingReason,
    Sampled,
    combined,
    counted,
    reasons,
    waiting,
)
from greenpower.energy.point import Point, PointPart
from greenpower.energy.point_reader import PointCounter, PointReader
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.measure.windows import floor
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.energy.ledger_read import ledger_register_before
from greenpower.mongo.energy.ledger_sums import read_samples

# So much before and after a range tells whether a gap at its ends is one.
MARGIN = (MAX_GAP + 1) * QUARTER

Quarters = Sequence[MissingReason | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointAvailability:
    """The availability of a point in each bucket, and that of each of its parts, for the time for which it counts."""

    point: Point
    buckets: Sequence[Availability]
    parts: Sequence[tuple[PointPart, Sequence[Availability]]]


def reader_range(boundaries: Sequence[datetime]) -> list[datetime]:
    """What a reader has to reach over, for buckets."""
    return [boundaries[0] - MARGIN, boundaries[-1] + MARGIN]


def read_availability(reader: PointReader, boundaries: Sequence[datetime]) -> list[PointAvailability]:
    """The availability of a reader's points in buckets. boundaries: on quarter-hours; the reader is one of
    `reader_range`. Raises PyMongoError."""
    begin, end = boundaries[0], min(boundaries[-1], floor(reader.now, QUARTER_SECONDS))
    # Nothing is expected of the future.
    ends = [max(begin, min(boundary, end)) for boundary in boundaries]
    places = [(boundary - begin) // QUARTER for boundary in ends]
    known: dict[tuple[str, str, str], tuple[Quarters, int]] = {}
    if places[-1]:
        for counter, _ in reader.parts_by_counter():
            for device, (quarters, rest) in _counter(counter, begin, end, reader.now).items():
                known[counter.reader.datatype.name, device, counter.reader.field] = quarters, rest
    return [_point(point, known, begin, places) for point in reader.points]


def _counter(counter: PointCounter, begin: datetime, end: datetime, now: datetime) -> dict[str, tuple[Quarters, int]]:
    """By device why each quarter-hour of a range has no data, and how many at its end are none that is expected."""
    reader, since = counter.reader, begin - MARGIN
    until = min(end + MARGIN, floor(now, QUARTER_SECONDS))
    pending = reader.read_pending(counter.devices, [since, until])
    samples = read_samples(reader, counter.devices, since, until)
    before = ledger_register_before(reader.db, reader.datatype.name, reader.field, counter.devices, since)
    recent = reader.read_recent(counter.devices, [since, until])
    begun = before.keys() | {device for device, slots in recent.items() if slots.before is not None}
    left_out: dict[str, list[tuple[datetime, datetime | None]]] = {}
    for correction in reader.correction_reader().read(counter.devices):
        if correction["kind"] == CorrectionKind.EXCLUSION:
            left_out.setdefault(correction["device_id"], []).append((correction["begin"], correction["end"]))
    unknown = [] if reader.unknown_from is None else [(reader.unknown_from, until)]
    found: dict[str, tuple[Quarters, int]] = {}
    part = slice((begin - since) // QUARTER, (end - since) // QUARTER)
    for device in counter.devices:
        own = samples[device]
        sampled = Sampled(begin=since, samples=own.counted, open=own.open, before=device in begun)
        spans = [(since, until)] if pending.all else pending.spans_of(device)
        gaps = Gaps(known_from=reader.known_from, left_out=left_out.get(device, ()), pending=[*spans, *unknown])
        rest = max(0, waiting(sampled) - (until - end) // QUARTER)
        found[device] = reasons(sampled, gaps)[part], rest
    return found


def _point(
    point: Point, known: Mapping[tuple[str, str, str], tuple[Quarters, int]], begin: datetime, places: Sequence[int]
) -> PointAvailability:
    count = places[-1]
    spans: list[tuple[int, int, Quarters]] = []
    rest = 0
    parts = []
    for part in point.parts:
        quarters, waits = known.get(part.counter, ([MissingReason.NOT_INSTALLED] * count, 0))
        first = 0 if part.begins_at is None else min(count, max(0, (part.begins_at - begin) // QUARTER))
        last = count if part.ends_at is None else max(first, min(count, (part.ends_at - begin) // QUARTER))
        if last == count:
            rest = max(rest, waits)
        spans.append((first, last, quarters))
        last = min(last, count - waits)
        parts.append((part, _buckets(quarters, first, last, places)))
    return PointAvailability(
        point=point, buckets=_buckets(combined(spans, count), 0, count - rest, places), parts=parts
    )


def _buckets(quarters: Quarters, first: int, last: int, places: Sequence[int]) -> list[Availability]:
    """What the quarter-hours `[first, last)` come to in each bucket."""
    ends = [max(first, min(place, last)) for place in places]
    return [counted(quarters[begin:end]) for begin, end in pairwise(ends)]


def total(buckets: Iterable[Availability]) -> Availability:
    """That of several buckets together."""
    found = Availability()
    for bucket in buckets:
        found.add(bucket)
    return found
