"""Judging one rule and one subject: what new observations, also late ones, make of what was stored. Pure.

What was judged is not judged again: an observation that is not newer than the newest one is left alone, unless it is
beyond the limit at a time of which nobody was told. Then it is late, and the series around it is walked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from greenpower.alarms.change import ChangeMaker, episode_of
from greenpower.alarms.machine import Condition, Observation, late_episodes, walk
from greenpower.alarms.subject import AlarmSubject
from greenpower.mongo.alarms.document import AlarmState
from greenpower.mongo.alarms.store import AlarmChange

Told = tuple[datetime, datetime | None]


@dataclass(slots=True, kw_only=True)
class PairResult:
    """What came of it. seen_at: the newest observation now. late: the earliest observation that came late and may have
    been an alarm. told: the episodes of this round."""

    changes: list[AlarmChange] = field(default_factory=list)
    seen_at: datetime | None = None
    late: datetime | None = None
    told: list[Told] = field(default_factory=list)


def judge_pair(
    maker: ChangeMaker,
    subject: AlarmSubject,
    open_alarm: Mapping[str, Any] | None,
    last_at: datetime | None,
    observations: Sequence[Observation],
    *,
    in_order: bool = True,
) -> PairResult:
    """Judge observations, in order of time. last_at: the newest one before. in_order: whether only newer ones count."""
    fresh: Sequence[Observation] = observations
    result = PairResult(seen_at=last_at)
    if in_order and last_at is not None and observations and observations[0].at <= last_at:
        fresh = [item for item in observations if item.at > last_at]
        begin = None if open_alarm is None else open_alarm["begin"]
        for item in observations:
            if item.at > last_at:
                break
            if item.condition is Condition.BEYOND and (begin is None or item.at < begin):
                result.late = item.at
                break
    if not fresh:
        return result
    result.seen_at = seen_at = fresh[-1].at
    ongoing = None if open_alarm is None else episode_of(open_alarm)
    for number, episode in enumerate(walk(ongoing, fresh, maker.rule.for_s)):
        if number == 0 and open_alarm is not None:
            change = maker.continued(subject, open_alarm, episode, seen_at)
        else:
            change = maker.begun(subject, episode, seen_at)
        if change is not None:
            result.changes.append(change)
        if episode.raised_at is not None:
            result.told.append((episode.begin, episode.ended_at))
    return result


def judge_late(
    maker: ChangeMaker,
    subject: AlarmSubject,
    series: Sequence[Observation],
    stored: Iterable[Mapping[str, Any]],
    told: Iterable[Told],
    seen_at: datetime,
) -> list[AlarmChange]:
    """What a series with late observations would have raised. stored: the alarms of the subject around them. told: what
    this round found besides."""
    spans: list[Told] = list(told)
    cancelled: dict[datetime, Mapping[str, Any]] = {}
    pending: Mapping[str, Any] | None = None
    for document in stored:
        if document["state"] == AlarmState.CANCELLED:
            cancelled[document["begin"]] = document
        elif document["state"] == AlarmState.PENDING:
            pending = document
        else:
            spans.append((document["begin"], None if document["open"] else document["cleared_at"]))
    found = []
    for episode in late_episodes(series, spans, maker.rule.for_s):
        if pending is not None and episode.overlaps(pending["begin"], None):
            # It was pending for longer than was known.
            if (change := maker.continued(subject, pending, episode, seen_at)) is not None:
                found.append(change)
        elif (known := cancelled.get(episode.begin)) is not None:
            found.append(maker.revived(known, subject, episode, seen_at))
        elif (new := maker.begun(subject, episode, seen_at)) is not None:
            found.append(new)
    return found
