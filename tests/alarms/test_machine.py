"""The states of an alarm, on series by hand and against a plain recomputation on random ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from greenpower.alarms.change import ChangeMaker
from greenpower.alarms.kind import read_params
from greenpower.alarms.kind_table import alarm_kinds
from greenpower.alarms.machine import Condition, Observation, late_episodes, walk
from greenpower.alarms.pair import judge_late, judge_pair
from greenpower.alarms.rule import AlarmRule
from greenpower.alarms.subject import device_subject
from greenpower.mongo.alarms.document import AlarmState
from greenpower.mongo.alarms.store import AlarmChange
from tests.alarms.plain_alarms import PlainAlarm, Value, plain_alarms

T0 = datetime(2026, 11, 2, 12, tzinfo=UTC)
Params = Mapping[str, Any]


def at(minute: float) -> datetime:
    return T0 + timedelta(minutes=minute)


def observed(series: Sequence[Value], **given: float) -> list[Observation]:
    kind = alarm_kinds()["threshold"]
    params, errors = read_params(kind, {"field": "v", **given})
    assert not errors and kind.judge is not None
    found = []
    for time, value in series:
        judged = kind.judge(params, {"v": value})
        assert judged is not None
        found.append(Observation(at=time, condition=judged[0], value=judged[1]))
    return found


def raised(values: Sequence[float], *, for_s: float = 0, **given: float) -> list[tuple[int, int | None]]:
    """At which minutes alarms are raised and cleared, with a value for each minute."""
    series = observed([(at(minute), value) for minute, value in enumerate(values)], **given)
    minutes = {at(minute): minute for minute in range(len(values))}
    return [
        (minutes[item.raised_at], None if item.ended_at is None else minutes[item.ended_at])
        for item in walk(None, series, for_s)
        if item.raised_at is not None
    ]


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        # At the limit is not beyond it.
        ([9, 10, 10.1, 10, 9], {"above": 10}, [(2, 3)]),
        ([9, 10, 9.9, 10], {"below": 10}, [(0, 1), (2, 3)]),
        ([5, 0, -1, 11, 3], {"above": 10, "below": 0}, [(2, 4)]),
        # The hysteresis holds up the end alone: at limit less hysteresis it is within.
        ([11, 9, 8.1, 8, 11], {"above": 10, "hysteresis": 2}, [(0, 3), (4, None)]),
        ([9, 9.5, 9], {"above": 10, "hysteresis": 2}, []),
        # A delay: all values for so long, the hysteresis does not count.
        ([11, 11, 11, 9], {"above": 10, "for_s": 120}, [(2, 3)]),
        ([11, 11, 9, 11, 11, 11], {"above": 10, "for_s": 120}, [(5, None)]),
        ([11, 9, 11, 11, 11], {"above": 10, "hysteresis": 2, "for_s": 120}, [(4, None)]),
        ([11, 11, 11, 9, 8], {"above": 10, "hysteresis": 2, "for_s": 120}, [(2, 4)]),
    ],
)
def test_values_at_below_and_above_the_limit(
    values: list[float], options: dict[str, float], expected: list[tuple[int, int | None]]
) -> None:
    assert raised(values, **options) == expected


def test_what_was_told_is_not_told_again_as_late() -> None:
    series = observed([(at(0), 11), (at(1), 9), (at(5), 12), (at(6), 8), (at(9), 11)], above=10)
    assert [item.begin for item in late_episodes(series, [(at(0), at(1)), (at(9), None)], 0)] == [at(5)]
    assert late_episodes(series, [(at(0), at(1)), (at(5.5), at(6)), (at(8), None)], 0) == []


class Stored:
    """The alarms of one subject in memory, as the database keeps them."""

    def __init__(self, for_s: float) -> None:
        self.rule = AlarmRule(
            number=1, name="r", kind="threshold", params={}, type="t", devices=(), zone=None, points=(),
            for_s=int(for_s), severity="warning", text="", channels=(), since=T0,
        )  # fmt: skip
        self.maker = ChangeMaker(rule=self.rule, silences=(), now=T0)
        self.subject = device_subject("t", "d")
        self.documents: list[dict[str, Any]] = []
        self.last_at: datetime | None = None

    def write(self, changes: Sequence[AlarmChange]) -> None:
        """Apply changes under the rules of the collection."""
        for change in changes:
            if change.id is None:
                begin = change.values["begin"]
                if any(item["begin"] == begin or (item["open"] and change.values["open"]) for item in self.documents):
                    continue
                self.documents.append({"_id": len(self.documents), **change.values, "steps": [*change.steps]})
            else:
                found = self.documents[change.id]  # type: ignore[call-overload]
                if found["state"] in change.states:
                    found.update(change.values)
                    found["steps"] += change.steps

    def judge(
        self, observations: Sequence[Observation], so_far: Sequence[Observation], *, cut_off: bool = False
    ) -> None:
        """A round. so_far: all that is stored by now. cut_off: it ends before it keeps how far it came."""
        open_alarm = next((item for item in self.documents if item["open"]), None)
        found = judge_pair(self.maker, self.subject, open_alarm, self.last_at, observations)
        self.write(found.changes)
        if found.late is not None and found.seen_at is not None:
            series = [item for item in so_far if item.at <= found.seen_at]
            self.write(judge_late(self.maker, self.subject, series, self.documents, found.told, found.seen_at))
        if not cut_off:
            self.last_at = found.seen_at
        else:
            seen = [item["seen_at"] for item in self.documents if item["seen_at"] is not None]
            self.last_at = max([self.last_at, *seen], key=lambda time: time or T0) if seen else self.last_at

    @property
    def alarms(self) -> list[PlainAlarm]:
        found = [item for item in self.documents if item["raised_at"] is not None]
        found.sort(key=lambda item: item["begin"])
        return [PlainAlarm(item["begin"], item["raised_at"], item["value"], item["cleared_at"]) for item in found]


def random_series(random_: random.Random, length: int) -> list[Value]:
    """Values that hang around the limits, with odd gaps."""
    time, value, series = T0, 5.0, []
    for _ in range(length):
        time += timedelta(seconds=random_.choice((1, 10, 60, 61, 300)))
        value = min(15.0, max(-5.0, value + random_.choice((-6, -2, -1, 0, 0, 1, 2, 6))))
        series.append((time, value))
    return series


OPTIONS = [
    {"above": above, "below": below, "hysteresis": hysteresis, "for_s": for_s}
    for above, below in ((10.0, None), (None, 0.0), (10.0, 0.0))
    for hysteresis in (0.0, 2.0)
    for for_s in (0, 60, 300)
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_plain_recomputation_agrees_whichever_batches_a_series_comes_in(options: dict[str, Any]) -> None:
    random_ = random.Random(f"{options}")
    raised_any = 0
    for _ in range(30):
        series = random_series(random_, 120)
        limits = {name: options[name] for name in ("above", "below", "hysteresis") if options[name] is not None}
        observations = observed(series, **limits)
        stored = Stored(options["for_s"])
        place = 0
        while place < len(observations):
            size = random_.choice((1, 1, 2, 5, 20))
            # What was read before comes again, as after a round that was cut off.
            begin = max(0, place - random_.choice((0, 0, 3)))
            batch = observations[begin : place + size]
            stored.judge(batch, observations[: place + size], cut_off=random_.random() < 0.2)
            if random_.random() < 0.2:
                stored.judge(batch, observations[: place + size])
            place += size
        stored.judge(observations[-25:], observations)
        expected = plain_alarms(series, **options)
        assert stored.alarms == expected
        assert not any(item["late"] for item in stored.documents)
        raised_any += len(expected)
        check_steps(stored)
    assert raised_any > 20


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_late_readings_add_what_they_would_have_raised_and_nothing_twice(options: dict[str, Any]) -> None:
    """Alarms of a subject never overlap; and where only values beyond the limit came late, all that the whole series
    raises shares a time with an alarm that was told."""
    random_ = random.Random(f"late {options}")
    late = 0
    for turn in range(40):
        series = random_series(random_, 60)
        limits = {name: options[name] for name in ("above", "below", "hysteresis") if options[name] is not None}
        # A late value within the limit changes nothing that was told, so nothing is claimed of those.
        anything = turn % 2
        beyond = {item.at for item in observed(series, **limits) if item.condition is Condition.BEYOND}
        held_back = [item for item in series if random_.random() < 0.25 and (anything or item[0] in beyond)]
        order = [item for item in series if item not in held_back]
        for item in held_back:
            later = [place for place, other in enumerate(order) if other[0] > item[0]]
            order.insert(random_.randint(later[0], len(order)) if later else len(order), item)
        stored, known = Stored(options["for_s"]), list[Value]()
        for item in order:
            known = sorted([*known, item])
            stored.judge(observed([item], **limits), observed(known, **limits))
        spans = [(item.begin, item.cleared_at or series[-1][0] + timedelta(days=1)) for item in stored.alarms]
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
        for plain in () if anything else plain_alarms(series, **options):
            end = plain.cleared_at or series[-1][0] + timedelta(days=1)
            assert any(begin < end and plain.begin < last for begin, last in spans), plain
        check_steps(stored)
        late += len(stored.alarms)
    assert late


def check_steps(stored: Stored) -> None:
    """One raise and one end of each, in order."""
    for item in stored.documents:
        steps = [step["step"] for step in item["steps"]]
        assert steps.count("raised") == (item["raised_at"] is not None)
        assert steps.count("cleared") == (item["state"] == AlarmState.CLEARED)
        assert "cleared" not in steps or steps.index("raised") < steps.index("cleared")
    assert sum(item["open"] for item in stored.documents) <= 1
