"""Energy or money of a day or month above a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from greenpower.alarms.kind import AlarmKind, KindParam, ParamKind, Params
from greenpower.alarms.machine import Condition, Observation
from greenpower.alarms.site_view import SiteView
from greenpower.alarms.subject import AlarmSubject, SubjectKind
from greenpower.datatype.carrier import Carrier
from greenpower.energy.amount import Amount, sum_next
from greenpower.energy.balance import balances
from greenpower.energy.calendar import Unit, boundaries
from greenpower.energy.point import Point
from greenpower.energy.point_cost import point_books
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.measure.windows import ceil

EVERY_SECONDS = 60
MONEY, ENERGY = "money", "energy"


def observe(
    view: SiteView, params: Params, subjects: Sequence[AlarmSubject], since: float
) -> Mapping[str, Sequence[Observation]]:
    """What the day or month has come to by now; of a trial each of them at its end, too."""
    unit, end = Unit(params["period"]), ceil(view.now, QUARTER_SECONDS)
    begin = view.now - timedelta(seconds=since if view.past else 0)
    found: dict[str, list[Observation]] = {subject.key: [] for subject in subjects}
    for first, last in pairwise(boundaries(begin, view.now, unit, view.zone)):
        until = min(last, end)
        if until <= first:
            continue
        for key, value in _values(view, params, subjects, first, until).items():
            limit = params["limit"] * params["percent"] / 100
            condition = Condition.BEYOND if value > limit else Condition.WITHIN
            at = min(last - timedelta(milliseconds=1), view.now)
            found[key].append(Observation(at=at, condition=condition, value=value))
    return found


def _values(
    view: SiteView, params: Params, subjects: Sequence[AlarmSubject], begin: datetime, end: datetime
) -> dict[str, float]:
    """What is known of each subject between two times."""
    found = {}
    for subject in subjects:
        points = _points(view, subject)
        value = (
            _money(view, points, begin, end) if params["of"] == MONEY else _energy(view, subject, points, begin, end)
        )
        if value is not None:
            found[subject.key] = value
    return found


def _points(view: SiteView, subject: AlarmSubject) -> list[Point]:
    if subject.kind is SubjectKind.POINT:
        return [view.site.points[subject.number or 0]]
    zones = view.site.zone_and_below(subject.number or 0)
    return [
        point for point in view.site.points.values() if point.zone in zones and point.carrier is Carrier.ELECTRICITY
    ]


def _energy(
    view: SiteView, subject: AlarmSubject, points: Sequence[Point], begin: datetime, end: datetime
) -> float | None:
    amounts = view.amounts(points, [begin, end])
    if subject.kind is SubjectKind.POINT:
        return amounts[points[0].number][0].value
    # The consumption of a zone: what comes in without what leaves.
    return balances(view.site, points, amounts, 1)[0].consumption.value if points else None


def _money(view: SiteView, points: Sequence[Point], begin: datetime, end: datetime) -> float | None:
    """The cost of energy and standing charges. Charges for demand are known at the end of a month only."""
    tops = view.site.top(points)
    books = point_books(view.site, tops, [begin, end], {})
    if not books:
        return None
    whole, known = Decimal(0), False
    for item in books:
        groups = item.book.groups
        amounts = view.amounts([item.point], groups.cuts)[item.point.number]
        grouped: list[list[Amount]] = [[] for _ in groups.rates]
        for number, amount in zip(groups.numbers, amounts, strict=True):
            grouped[number].append(amount)
        [cost] = item.book.costs([sum_next(several) for several in grouped])
        known |= bool(cost.lines)
        whole += cost.amount
    return float(whole) if known else None


KIND = AlarmKind(
    name="budget",
    title="Budget used up",
    text="The energy or the cost of a point or zone in a day or month is above a budget. It is cleared when the next "
    "day or month begins. The energy of a zone is its consumption, as in the balance.",
    subjects=frozenset({SubjectKind.POINT, SubjectKind.ZONE}),
    params=(
        KindParam(name="limit", text="the budget, in the point's unit or the currency of its tariff", required=True,
                  minimum=0),
        KindParam(name="of", text="what is limited", kind=ParamKind.CHOICE, default=ENERGY, choices=(ENERGY, MONEY)),
        KindParam(name="period", text="of which time", kind=ParamKind.CHOICE, default=Unit.MONTH.value,
                  choices=(Unit.DAY.value, Unit.MONTH.value)),
        KindParam(name="percent", text="raised when more than this part of it is used", default=100.0, minimum=1,
                  maximum=1_000),
    ),
    example={"limit": 1_000.0, "of": ENERGY, "period": Unit.MONTH.value, "percent": 80.0},
    observe=observe,
    every=EVERY_SECONDS,
)  # fmt: skip
