"""How far rollups are behind: for the metrics and for people.

One answer for all tiers: how much later each watermark could be, the invalidations that wait, and the last error. Where
device ranges of a tier are not equally far, or one has an error, the same of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.measure.windows import done_before
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges
from greenpower.mongo.rollups.watermarks import EPOCH, Progress, progress_of
from greenpower.mongo.schema.layout import INVALIDATIONS, WATERMARKS


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeLag:
    """Device ranges of a tier that are equally far. behind, error: as of a tier."""

    ranges: Ranges
    watermark: datetime | None
    behind: float | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """One tier. behind: seconds that its watermark could be later, None before its first run. invalidations: how many
    wait. oldest: seconds that the oldest of them has waited. ranges: all of them, the hindmost first; empty where they
    are equally far and have no error of their own."""

    type: str
    prefix: str
    watermark: datetime | None
    behind: float | None
    invalidations: int
    oldest: float
    left_alone: int
    ran_at: datetime | None
    error: str
    ranges: tuple[RangeLag, ...] = ()


def range_lags(progress: Progress, window: int | None, now: datetime) -> tuple[RangeLag, ...]:
    """The lag of the device ranges of a tier, as `Lag` has it. window: of its buckets in seconds, None for copies."""
    alike: defaultdict[tuple[datetime, str], set[int]] = defaultdict(set)
    for number in ALL_RANGES:
        reached = progress.reached(frozenset((number,)))
        alike[reached or EPOCH, progress.apart(number).error].add(number)
    if len(alike) == 1 and not any(error for _, error in alike):
        return ()
    return tuple(
        RangeLag(
            ranges=frozenset(alike[reached, error]),
            watermark=None if reached == EPOCH else reached,
            behind=None if reached == EPOCH else seconds_behind(reached, window, now),
            error=error,
        )
        for reached, error in sorted(alike)
    )


def seconds_behind(watermark: datetime, window: int | None, now: datetime) -> float:
    """How many seconds later a watermark could be. window: as of `range_lags`."""
    return max(0.0, (done_before(now, window) - watermark).total_seconds())


WAITING: list[dict[str, Any]] = [
    # In the order of the index, from which alone it is answered.
    {"$sort": {"type": 1, "prefix": 1, "since": 1}},
    {"$group": {"_id": {"type": "$type", "prefix": "$prefix"}, "count": {"$sum": 1}, "since": {"$min": "$since"}}},
]


def lags(
    datatypes: Iterable[DataType], states: Iterable[Document], waiting: Iterable[Document], now: datetime
) -> list[Lag]:
    """The lag of each tier, from its state and what `WAITING` gives of the invalidations."""
    known = {state["_id"]: state for state in states}
    invalidations = {(row["_id"]["type"], row["_id"]["prefix"]): row for row in waiting}
    found = []
    for datatype in datatypes:
        for tier in datatype.tiers:
            state: Mapping[str, Any] = known.get(f"{datatype.name}/{tier.prefix}", {})
            row = invalidations.get((datatype.name, tier.prefix))
            watermark = state.get("watermark")
            behind = None if watermark is None else seconds_behind(watermark, tier.window, now)
            found.append(
                Lag(
                    type=datatype.name,
                    prefix=tier.prefix,
                    watermark=watermark,
                    behind=behind,
                    invalidations=0 if row is None else row["count"],
                    oldest=0.0 if row is None else max(0.0, (now - row["since"]).total_seconds()),
                    left_alone=state.get("left_alone", 0),
                    ran_at=state.get("ran_at"),
                    error=state.get("error", ""),
                    ranges=range_lags(progress_of(datatype.name, tier.prefix, state), tier.window, now),
                )
            )
    return found


def read_lags(db: Database[Document], datatypes: Iterable[DataType], now: datetime) -> list[Lag]:
    """The lag of each tier. Raises PyMongoError."""
    return lags(datatypes, db[WATERMARKS].find(), db[INVALIDATIONS].aggregate(WAITING), now)


async def read_lags_async(db: AsyncDatabase[Document], datatypes: Iterable[DataType], now: datetime) -> list[Lag]:
    """As `read_lags`, on an event loop."""
    states = await db[WATERMARKS].find().to_list()
    waiting = await (await db[INVALIDATIONS].aggregate(WAITING)).to_list()
    return lags(datatypes, states, waiting, now)
