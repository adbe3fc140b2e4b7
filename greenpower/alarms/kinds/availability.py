"""Too few quarter-hours of a point with data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from greenpower.alarms.kind import AlarmKind, KindParam, ParamKind, Params
from greenpower.alarms.machine import Condition, Observation
from greenpower.alarms.site_view import SiteView
from greenpower.alarms.subject import AlarmSubject, SubjectKind
from greenpower.energy.availability_reader import read_availability, reader_range
from greenpower.measure.windows import HOUR, floor

EVERY_SECONDS = 300


def observe(
    view: SiteView, params: Params, subjects: Sequence[AlarmSubject], since: float
) -> Mapping[str, Sequence[Observation]]:
    """The last hours, at the last full hour; of a trial at each day before."""
    hours = int(params["hours"])
    end = floor(view.now, HOUR)
    steps = int(since // 86_400) if view.past else 0
    points = [view.site.points[subject.number or 0] for subject in subjects]
    found: dict[str, list[Observation]] = {subject.key: [] for subject in subjects}
    for step in range(steps, -1, -1):
        last = end - timedelta(days=step)
        boundaries = [last - timedelta(hours=hours), last]
        known = read_availability(view.reader(points, reader_range(boundaries)), boundaries)
        for subject, item in zip(subjects, known, strict=True):
            percent = item.buckets[0].percent
            if percent is None:
                continue
            below, hysteresis = params["below"], params["hysteresis"]
            condition = Condition.WITHIN if percent >= min(100.0, below + hysteresis) else Condition.BETWEEN
            if percent < below:
                condition = Condition.BEYOND
            at = last if view.past else view.now
            found[subject.key].append(Observation(at=at, condition=condition, value=percent))
    return found


KIND = AlarmKind(
    name="availability",
    title="Low data availability",
    text="Of the quarter-hours of a point, fewer have data than they should.",
    subjects=frozenset({SubjectKind.POINT}),
    params=(
        KindParam(name="below", text="raised when less is available, in percent", required=True, minimum=0,
                  maximum=100),
        KindParam(name="hours", text="over how many hours", kind=ParamKind.INTEGER, default=24, minimum=1,
                  maximum=31 * 24),
        KindParam(name="hysteresis", text="how far above the limit it must be to clear, in percent", default=1.0,
                  minimum=0, maximum=50),
    ),
    example={"below": 95.0, "hours": 24},
    observe=observe,
    every=EVERY_SECONDS,
)  # fmt: skip
