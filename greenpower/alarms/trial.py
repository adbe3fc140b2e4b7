"""A trial: what a rule would have raised over the last days. Nothing is written, and nobody is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from greenpower.alarms.evaluator import milliseconds_now, read_devices
from greenpower.alarms.machine import Episode, Observation, walk
from greenpower.alarms.reading_look import observe_readings
from greenpower.alarms.rule import AlarmRule, CheckedRule, check_rule
from greenpower.alarms.site_view import SiteView, Sources
from greenpower.alarms.subject import AlarmSubject, device_subject
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.energy.site import read_site
from greenpower.mongo.alarms.readings import iterate_readings
from greenpower.mongo.alarms.site import seen_devices

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What would have been raised. subjects: about how many it was. past: whether the kind can tell the past; else it
    is as of now."""

    found: Sequence[tuple[AlarmSubject, Episode]]
    subjects: int
    past: bool


def try_rule(
    rule: AlarmRule,
    days: float,
    *,
    db: Any,
    session: Session,
    registry: Registry,
    settings: Settings,
    sources: Sources,
) -> TrialResult:
    """Try a rule over the last days. Raises AlarmRuleError for one that cannot be judged, the databases' errors."""
    now = milliseconds_now()
    since = now - timedelta(days=days)
    site = read_site(session)
    devices, intervals = read_devices(session)
    session.rollback()
    checked = check_rule(replace(rule, since=since), registry, site, devices)
    view = SiteView(
        db=db, registry=registry, settings=settings, site=site, now=now, sources=sources, intervals=intervals, past=True
    )
    subjects = list(checked.subjects)
    if checked.every_device and rule.type is not None:
        known = {subject.device_id for subject in subjects}
        subjects += [device_subject(rule.type, name) for name in seen_devices(db, rule.type) if name not in known]
    series = _readings(view, checked, subjects) if checked.kind.judge else _figures(view, checked, subjects, days)
    found = []
    for subject, observations in series:
        episodes = walk(None, observations, rule.for_s)
        found += [(subject, episode) for episode in episodes if episode.raised_at is not None]
    found.sort(key=lambda item: (item[1].begin, item[0].key))
    return TrialResult(found=found, subjects=len(subjects), past=checked.kind.settled)


def _readings(
    view: SiteView, checked: CheckedRule, subjects: Sequence[AlarmSubject]
) -> Iterator[tuple[AlarmSubject, Iterator[Observation]]]:
    datatype = view.registry.get(checked.rule.type or "")
    assert datatype is not None
    fields = None if checked.kind.fields is None else checked.kind.fields(checked.params)
    for subject in subjects:
        rows = iterate_readings(view.db[datatype.collection], subject.device_id or "", checked.rule.since, fields)
        yield subject, observe_readings(checked, rows)


def _figures(
    view: SiteView, checked: CheckedRule, subjects: Sequence[AlarmSubject], days: float
) -> Iterator[tuple[AlarmSubject, Sequence[Observation]]]:
    assert checked.kind.observe is not None
    found: Mapping[str, Sequence[Observation]] = checked.kind.observe(
        view, checked.params, subjects, days * DAY_SECONDS
    )
    for subject in subjects:
        yield subject, [item for item in found.get(subject.key, ()) if item.at >= checked.rule.since or not
                        checked.kind.settled]  # fmt: skip
