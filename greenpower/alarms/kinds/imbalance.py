"""A point that counts more than the points below it by too much, or less than they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from greenpower.alarms.kind import AlarmKind, KindParam, ParamKind, Params
from greenpower.alarms.machine import Condition, Observation
from greenpower.alarms.site_view import SiteView
from greenpower.alarms.subject import AlarmSubject, SubjectKind
from greenpower.energy.amount import UNIT
from greenpower.energy.balance import unmetered_below
from greenpower.energy.point import Point
from greenpower.measure.windows import HOUR, floor

EVERY_SECONDS = 60
LOOK_BACK_SECONDS = 3 * HOUR
# A figure of which less lies between registers says nothing.
MIN_COVERAGE = 0.9


def observe(
    view: SiteView, params: Params, subjects: Sequence[AlarmSubject], since: float
) -> Mapping[str, Sequence[Observation]]:
    """The last hours at each full hour. A point without points below it says nothing."""
    hours = int(params["hours"])
    end = floor(view.now, HOUR)
    steps = max(1, int(since // HOUR))
    cuts = [end - timedelta(hours=step) for step in range(steps + hours - 1, -1, -1)]
    tops = [view.site.points[subject.number or 0] for subject in subjects]
    below = {inner.number: inner for point in tops for inner in view.site.below.get(point.number, ())}
    points: dict[int, Point] = {**below, **{point.number: point for point in tops}}
    amounts = view.amounts(list(points.values()), cuts)
    found: dict[str, list[Observation]] = {}
    for subject, point in zip(subjects, tops, strict=True):
        for place in range(hours, len(cuts)):
            window = range(place - hours, place)
            rests = [unmetered_below(view.site, point, amounts, at) for at in window]
            several = [point, *view.site.below.get(point.number, ())]
            parts = [amounts[item.number][at] for item in several for at in window]
            if None in rests or any(not part.counted or part.coverage < MIN_COVERAGE for part in parts):
                continue
            if not all(view.is_settled(part, cuts[place]) for part in parts):
                break
            whole = sum(amounts[point.number][at].energy for at in window)
            rest = sum(item.energy for item in rests if item is not None)
            percent = 0.0 if whole < params["least"] * UNIT or not whole else 100 * rest / whole
            found.setdefault(subject.key, []).append(
                Observation(at=cuts[place], condition=compare(percent, params), value=round(percent, 3))
            )
    return found


def compare(percent: float, params: Params) -> Condition:
    """What an unmetered share says. Below 0 the points below count more than the point itself."""
    above, below, hysteresis = params["above"], params["below"], params["hysteresis"]
    if percent > above or percent < below:
        return Condition.BEYOND
    return Condition.WITHIN if below + hysteresis <= percent <= above - hysteresis else Condition.BETWEEN


KIND = AlarmKind(
    name="imbalance",
    title="Unmetered share beyond a limit",
    text="What a point counts and the points right below it do not, as a share of the point. A share below 0 means "
    "that the points below count more than their parent.",
    subjects=frozenset({SubjectKind.POINT}),
    params=(
        KindParam(name="above", text="raised when the share is greater, in percent", default=10.0, maximum=100),
        KindParam(name="below", text="raised when the share is less, in percent", default=-2.0, minimum=-1_000),
        KindParam(name="hours", text="over how many hours", kind=ParamKind.INTEGER, default=3, minimum=1, maximum=48),
        KindParam(name="least", text="energy of the point from which on the share says something", default=1.0,
                  minimum=0),
        KindParam(name="hysteresis", text="how far within the limits it must be to clear, in percent", default=0.5,
                  minimum=0),
    ),
    example={"above": 10.0, "below": -2.0, "hours": 3},
    observe=observe,
    every=EVERY_SECONDS,
    look_back=LOOK_BACK_SECONDS,
    problem=lambda params: (
        None if params["above"] - params["below"] >= 2 * params["hysteresis"] else
        "`above` must be greater than `below` by at least twice the hysteresis."
    ),
)  # fmt: skip
