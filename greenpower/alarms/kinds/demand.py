"""The average power of a point or device over 15 or 30 minutes above a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

from greenpower.alarms.kind import AlarmKind, KindParam, ParamKind, Params
from greenpower.alarms.machine import Condition, Observation, is_late
from greenpower.alarms.site_view import SiteView
from greenpower.alarms.subject import AlarmSubject, SubjectKind
from greenpower.datatype import DataType
from greenpower.energy.amount import UNIT, Amount
from greenpower.energy.demand import SECONDS_PER_HOUR, demands, intervals
from greenpower.energy.point import Point
from greenpower.measure.windows import floor

LOOK_BACK_SECONDS = 2 * 3_600
DEFAULT_MINUTES = "15"


def observe(
    view: SiteView, params: Params, subjects: Sequence[AlarmSubject], since: float
) -> Mapping[str, Sequence[Observation]]:
    """The intervals that have ended, and the one that goes on as soon as its energy is enough."""
    minutes = int(params["minutes"])
    seconds = minutes * 60
    begin = floor(view.now - timedelta(seconds=since), seconds)
    end = floor(view.now, seconds) + timedelta(seconds=seconds)
    cuts = intervals(begin, end, minutes)
    points: dict[str, Point] = {}
    for place, subject in enumerate(subjects):
        if subject.kind is SubjectKind.POINT:
            points[subject.key] = view.site.points[subject.number or 0]
        elif subject.type is not None and subject.device_id is not None:
            # Numbers below 0 are no point's.
            found = view.device_point(-1 - place, subject.type, subject.device_id, params["field"] or "")
            if found is not None:
                points[subject.key] = found
    amounts = view.amounts(list(points.values()), cuts)
    limit, hysteresis = Fraction(params["above"]), Fraction(params["hysteresis"])
    observations: dict[str, list[Observation]] = {}
    for key, point in points.items():
        ended = amounts[point.number][:-1]
        series = observations[key] = []
        by_begin = {item.begin: item for item in demands(cuts[:-1], ended, minutes)}
        for (first, last), amount in zip(pairwise(cuts[:-1]), ended, strict=True):
            demand = by_begin.get(first)
            if demand is None:
                continue
            condition = compare(demand.power, limit, hysteresis)
            if condition is not Condition.BEYOND and not view.is_settled(amount, last):
                break
            late = is_late(last, view.now) and not view.past
            series.append(Observation(at=last, condition=condition, value=float(demand.power), late=late))
        else:
            series += running(amounts[point.number][-1], seconds, limit)
    return observations


def compare(power: Fraction, limit: Fraction, hysteresis: Fraction) -> Condition:
    """What a power says."""
    if power > limit:
        return Condition.BEYOND
    return Condition.WITHIN if power <= limit - hysteresis else Condition.BETWEEN


def running(amount: Amount, seconds: int, limit: Fraction) -> list[Observation]:
    """What the interval that goes on says: nothing before its energy is above what the limit allows for all of it."""
    power = Fraction(amount.energy * SECONDS_PER_HOUR, UNIT * seconds)
    if not amount.counted or amount.last_at is None or power <= limit or amount.silence_s > seconds:
        return []
    return [Observation(at=amount.last_at, condition=Condition.BEYOND, value=float(power))]


def type_problem(params: Params, datatype: DataType) -> str | None:
    """The data type must have the counter."""
    counters = [field.name for field in datatype.fields if field.kind.has_energy]
    if params["field"] in counters:
        return None
    return f"{datatype.name} has no counter {params['field']!r}; `field` names one of: {', '.join(counters) or 'none'}"


KIND = AlarmKind(
    name="demand",
    title="Demand above a limit",
    text="The average power over 15 or 30 minutes is above a limit. It is raised as soon as the energy of the "
    "interval is enough for that, and cleared by an interval that is within the limit.",
    subjects=frozenset({SubjectKind.DEVICE, SubjectKind.POINT}),
    params=(
        KindParam(name="above", text="limit in kW, or the point's unit for each hour", required=True, minimum=0),
        KindParam(
            name="minutes", text="length of the intervals", kind=ParamKind.CHOICE, default=DEFAULT_MINUTES,
            choices=("15", "30"),
        ),
        KindParam(name="hysteresis", text="how far below the limit it must be to clear", default=0.0, minimum=0),
        KindParam(name="field", text="counter of the data type; of devices only", kind=ParamKind.TEXT),
    ),
    example={"above": 50.0, "minutes": DEFAULT_MINUTES},
    observe=observe,
    look_back=LOOK_BACK_SECONDS,
    needs_type=True,
    type_problem=type_problem,
)  # fmt: skip
