"""Questions about meter points: which points, which calendar buckets, with what they are compared; and reading them.

What belongs here: parameters, limits of cost, and amounts by bucket. What does not: what is made of amounts
(`greenpower.energy`), how answers look (`point_answer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma
import pymongo
from flask import current_app
from sqlalchemy import select

from greenpower.api.energy.consumption_cost import (
    MAX_RECENT_READINGS,
    check_buckets,
    check_documents,
    check_readings,
    check_rows,
)
from greenpower.api.energy.consumption_schema import CalendarQuery
from greenpower.api.energy.moved_boundaries import nearest_quarter
from greenpower.api.http.blueprint import describe
from greenpower.api.http.context import get_context, whole_database
from greenpower.api.http.errors import abort_query
from greenpower.api.http.known import ZoneNumber
from greenpower.api.http.turns import turn
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.calendar import DEFAULT_RANGES, SHORTEST_LENGTHS, Unit, boundaries, label, local_text
from greenpower.energy.closed_month import ClosedCuts, ClosedMonth, ShownFigures, read_closed_months
from greenpower.energy.compare import Comparison, compared
from greenpower.energy.point import Point
from greenpower.energy.point_reader import PointEnergy, PointReader
from greenpower.energy.site import EnergySite, read_site
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.sql import ClosedPeriod
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID
from greenpower.sql.visible_zones import seeing_everything, visible_zones

MAX_POINTS = 500
# From when its turn has come.
POINTS_SECONDS = 8 * QUERY_SECONDS


class PointQuery(CalendarQuery):
    """Which meter points, in which buckets."""

    point_id = ma.fields.List(
        ma.fields.Integer(validate=ma.validate.Range(1, LARGEST_ID)),
        load_default=(),
        validate=ma.validate.Length(max=MAX_POINTS),
        metadata=describe("only these meter points: repeat the parameter for several"),
    )
    zone_id = ZoneNumber("only meter points of this service zone and the zones in it")
    carrier = ma.fields.Enum(Carrier, by_value=True, metadata=describe("only meter points of this carrier"))
    role = ma.fields.Enum(PointRole, by_value=True, metadata=describe("only meter points of this role"))


class ComparedQuery(PointQuery):
    """Which meter points, in which buckets, and with what they are compared."""

    compare = ma.fields.Enum(
        Comparison,
        by_value=True,
        metadata=describe(
            "also say what it was in as many buckets before (`previous`), on the same days of the year before"
            " (`year_ago`) or 52 weeks before (`same_days`), aligned in local time; of a bucket that goes on, as far as"
            " it has come"
        ),
    )


class FiguresChoice(ma.Schema):
    """Which figures of closed months."""

    figures = ma.fields.Enum(
        ShownFigures,
        by_value=True,
        load_default=ShownFigures.CLOSED,
        metadata=describe(
            "of closed months: the figures that they were closed with, in buckets and totals that consist of months,"
            " and how what is known now differs as `adjustment` (`closed`); or only what is known now (`current`)"
        ),
    )


class FiguresQuery(ComparedQuery, FiguresChoice):
    """Which meter points, in which buckets, with what they are compared, and which figures of closed months."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question that can be answered. boundaries: of the buckets. before: those that they are compared with, None for
    none; the last one is cut where the range has come to. closed: the closed months in either."""

    site: EnergySite
    points: Sequence[Point]
    boundaries: Sequence[datetime]
    unit: Unit
    zone: ZoneInfo
    now: datetime
    compare: Comparison | None
    before: Sequence[datetime] | None
    figures: ShownFigures = ShownFigures.CURRENT
    closed: Sequence[ClosedMonth] = ()

    @cached_property
    def closed_cuts(self) -> ClosedCuts:
        """The closed months among the buckets."""
        return ClosedCuts.of(self.closed, self.boundaries, self.figures)

    @cached_property
    def compared_cuts(self) -> ClosedCuts | None:
        """Those among the buckets that they are compared with; None where there is no such bucket."""
        return ClosedCuts.of(self.closed, self.compared, self.figures) if self.compared else None

    @cached_property
    def names(self) -> list[dict[str, str]]:
        """Name, start and end of each bucket, as answers have them."""
        texts = [local_text(boundary, self.zone) for boundary in self.boundaries]
        names = [label(boundary, self.unit, self.zone) for boundary in self.boundaries[:-1]]
        return [
            {"bucket": name, "start": start, "end": end}
            for name, (start, end) in zip(names, pairwise(texts), strict=True)
        ]

    @property
    def compared(self) -> Sequence[datetime]:
        """The boundaries that are compared with; empty where there is no bucket between them."""
        return self.before if self.before is not None and len(self.before) > 1 else ()


def ask(query: dict[str, Any]) -> Asked:
    """The question of a loaded query. Aborts with 404 and 422. Raises SQLAlchemyError."""
    now = datetime.now(UTC)
    unit, zone, how = query["bucket"], query["tz"], query.get("compare")
    end = query.get("end_time", now)
    try:
        start = query.get("start_time") or end - DEFAULT_RANGES[unit]
        check_buckets((end - start) / SHORTEST_LENGTHS[unit], unit.value)
        asked = boundaries(start, end, unit, zone)
        before = None if how is None else cut_to_now(asked, compared(asked, unit, zone, how), now)
    except OverflowError:
        abort_query("start_time", "The calendar ends there: give times between the years 1 and 9999.")
    site = read_site(db.session)
    closed: Sequence[ClosedMonth] = ()
    if "figures" in query:
        ranges = [asked] if before is None or len(before) < 2 else [asked, before]
        # Figures of a point are the same for all who see it, whatever they were closed for.
        with seeing_everything():
            closed = read_closed_months(db.session, [(times[0], times[-1]) for times in ranges])
        shown = set(db.session.scalars(select(ClosedPeriod.id))) if closed and visible_zones() is not None else None
        if shown is not None:
            closed = [month if month.period in shown else replace(month, is_shown=False) for month in closed]
    db.session.rollback()
    points = choose(site, query)
    check_rows(len(asked) - 1, len(points))
    return Asked(
        site=site,
        points=points,
        boundaries=asked,
        unit=unit,
        zone=zone,
        now=now,
        compare=how,
        before=before,
        figures=query.get("figures", ShownFigures.CURRENT),
        closed=closed,
    )


def choose(site: EnergySite, query: dict[str, Any]) -> list[Point]:
    """The points that a query asks for, by name. Aborts with 422 for one that does not exist, and for too many."""
    if unknown := [number for number in query["point_id"] if number not in site.points]:
        abort_query("point_id", *(f"unknown meter point: {number}" for number in unknown))
    found = list(site.points.values())
    if query["point_id"]:
        found = [point for point in found if point.number in query["point_id"]]
    if "zone_id" in query:
        zones = site.zone_and_below(query["zone_id"])
        found = [point for point in found if point.zone in zones]
    for name in ("carrier", "role"):
        if name in query:
            found = [point for point in found if getattr(point, name) is query[name]]
    if len(found) > MAX_POINTS:
        abort_query("point_id", f"{len(found)} meter points at once are more than {MAX_POINTS}. Ask for a zone.")
    return found


def cut_to_now(asked: Sequence[datetime], before: Sequence[datetime], now: datetime) -> list[datetime]:
    """The boundaries that a range is compared with, as far as the range has come: what goes on is compared with as much
    of its counterpart, to the quarter-hour."""
    if asked[-1] <= now or len(asked) != len(before):
        return list(before)
    running = next((place for place, end in enumerate(asked[1:]) if end > now), len(asked) - 2)
    passed = max(now, asked[running]) - asked[running]
    cut = min(before[running + 1], nearest_quarter(before[running] + passed))
    return [*before[: running + 1], cut] if cut > before[running] else list(before[: running + 1])


def check_intervals(asked: Asked, begin: datetime, end: datetime, minutes: int) -> None:
    """Abort with 422 for more intervals than one answer is made from; call it before they are made."""
    check_rows(1 + (end - begin) // timedelta(minutes=minutes), max(1, len(asked.points)))


def read_points(asked: Asked, points: Iterable[Point], cuts: Sequence[datetime]) -> PointEnergy:
    """What points counted between cuts. Aborts with 422 for what costs too much. Raises PyMongoError.

    cuts: ascending; each is read at the quarter-hour next to it. Two of them must not be at the same one.
    """
    reader, cost = open_reader(asked, points, cuts)
    with turn(current_app, cost), pymongo.timeout(POINTS_SECONDS):
        return reader.read()


def open_reader(
    asked: Asked, points: Iterable[Point], cuts: Sequence[datetime], fine: Sequence[datetime] = ()
) -> tuple[PointReader, int]:
    """A reader of points between cuts, as those of `read_points`, and what reading costs, for its turn. fine: cuts on
    quarter-hours between which it is read, too. Aborts with 422 for what costs too much. Raises PyMongoError."""
    context = get_context()
    with pymongo.timeout(POINTS_SECONDS):
        # The points are those that the caller may see; what they counted is theirs, whichever devices measured it.
        found = whole_database()
        reader = PointReader(
            found, context.registry, context.settings, points, [nearest_quarter(cut) for cut in cuts], asked.now
        )
        documents = max(reader.count_documents(), reader.count_documents(fine) if fine else 0)
        check_documents(documents, max(1, len(reader.points)))
        readings = reader.count_readings(MAX_RECENT_READINGS + 1)
        if readings > MAX_RECENT_READINGS:
            # The rollups have yet to compute a part of the range. What they have is told; nothing after it is final.
            reader.leave_out_recent()
            readings = reader.count_readings(MAX_RECENT_READINGS + 1)
        check_readings(readings, reader.watermark)
    return reader, documents + readings + len(cuts) * len(reader.points)
