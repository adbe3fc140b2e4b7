"""`/api/energy/profile/`: the mean day of meter points and of a zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.energy.demand import power_unit
from greenpower.api.energy.point_answer import CalendarHead, PointHead, calendar_head, point_head
from greenpower.api.energy.point_query import PointQuery, ask, check_intervals, read_points
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.json import answer
from greenpower.datatype.carrier import Carrier
from greenpower.energy.balance import balances
from greenpower.energy.demand import intervals
from greenpower.energy.profile import MAX_SPREAD, PROFILE_MINUTES, DayKind, ProfilePart, profile
from greenpower.mongo.client import Document
from greenpower.sql import RoleName

DESCRIPTION = """The average power at each local time of the day, of workdays (Monday to Friday), Saturdays and Sundays.
All days that overlap the range are in it, as far as they have passed. What was counted in a quarter-hour is spread over
it and the quarter-hours without samples right before it; what a silence of more than an hour hides is not in it.
`consumption` is that of the balance of all points of the answer."""
READ_MINUTES = 15
READ_STEP = timedelta(minutes=READ_MINUTES)


class ProfileQuery(PointQuery):
    """Which profile."""

    minutes = ma.fields.Integer(
        load_default=PROFILE_MINUTES[0],
        validate=(ma.validate.Range(PROFILE_MINUTES[0], PROFILE_MINUTES[-1]), ma.validate.OneOf(PROFILE_MINUTES)),
        metadata=describe("length of the parts of the day: 15, 30 or 60"),
    )


class ProfilePartSchema(ma.Schema):
    """A part of the mean day."""

    time = ma.fields.String(required=True, metadata=describe("local time at which it begins", example="06:15"))
    power = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("average power; null: nothing is known", example=4.2)
    )
    hours = ma.fields.Float(required=True, metadata=describe("of how many hours it is the average", example=5.5))


class ProfileDays(ma.Schema):
    """The mean day of each kind."""

    workday = ma.fields.List(ma.fields.Nested(ProfilePartSchema), required=True)
    saturday = ma.fields.List(ma.fields.Nested(ProfilePartSchema), required=True)
    sunday = ma.fields.List(ma.fields.Nested(ProfilePartSchema), required=True)


class PointProfile(PointHead):
    """The mean days of a point."""

    power_unit = ma.fields.String(required=True, metadata=describe("unit of powers", example="kW"))
    days = ma.fields.Nested(ProfileDays, required=True)


class ProfileSchema(CalendarHead):
    """The mean days of points."""

    minutes = ma.fields.Integer(required=True, metadata=describe("length of the parts of the day"))
    carrier = ma.fields.Enum(Carrier, by_value=True, required=True, metadata=describe("the carrier"))
    consumption = ma.fields.Nested(ProfileDays, required=True)
    points = ma.fields.List(ma.fields.Nested(PointProfile), required=True)


def add_profile(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/profile/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="The mean day of meter points", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(ProfileQuery)
    @blueprint.response(200, ProfileSchema)
    def point_profile(query: dict[str, Any]) -> Response:
        return answer(find_profile(query))


def find_profile(query: dict[str, Any]) -> Document:
    """The answer to a loaded ProfileQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    carrier = query.setdefault("carrier", Carrier.ELECTRICITY)
    asked = ask(query)
    since = asked.boundaries[0]
    end = max(since, min(asked.boundaries[-1], asked.now))
    check_intervals(asked, since, end, READ_MINUTES)
    cuts = [cut for cut in intervals(_before(since), end, READ_MINUTES) if not (cut - since) % READ_STEP]
    found = read_points(asked, asked.points, cuts)
    whole = [item.consumption for item in balances(asked.site, asked.points, found.amounts, len(cuts) - 1)]
    minutes = query["minutes"]
    return {
        **calendar_head(asked),
        "minutes": minutes,
        "carrier": carrier.value,
        "consumption": _days(profile(cuts, whole, since, asked.zone, minutes)),
        "points": [
            {
                **point_head(point, asked.site),
                "power_unit": power_unit(point),
                "days": _days(profile(cuts, found.amounts[point.number], since, asked.zone, minutes)),
            }
            for point in asked.points
        ],
    }


def _before(since: datetime) -> datetime:
    """The begin of what is read, so that the first quarter-hours are known from their begin on."""
    try:
        return since - MAX_SPREAD
    except OverflowError:  # the calendar begins there
        return datetime.min.replace(tzinfo=UTC)


def _days(found: Mapping[DayKind, Sequence[ProfilePart]]) -> Document:
    return {kind.value: list(map(_part, parts)) for kind, parts in found.items()}


def _part(part: ProfilePart) -> Document:
    return {
        "time": f"{part.minute // 60:02}:{part.minute % 60:02}",
        "power": None if part.power is None else float(part.power),
        "hours": float(part.hours),
    }
