"""The evaluator: one round judges what is new for all rules, and writes what came of it.

In this order: alarms, the newest observations, the positions of readings, the round. Cut off anywhere, the next round
does the same again and nothing is told twice (`greenpower.mongo.alarms.progress`). A rule that cannot be judged says so
in its status and stops no other.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.alarms.change import RULE_GONE, SUBJECT_GONE, ChangeMaker, ended, unsilenced
from greenpower.alarms.look import Look, LookResult
from greenpower.alarms.pair import judge_late, judge_pair
from greenpower.alarms.reading_look import ReadingLook, series_before
from greenpower.alarms.rule import AlarmRule, AlarmRuleError, CheckedRule, DeviceTable, Silence, check_rule
from greenpower.alarms.site_view import SiteView, Sources
from greenpower.alarms.subject import AlarmSubject
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.energy.site import EnergySite, read_site
from greenpower.mongo.alarms.find import find_around, find_open, find_since_round
from greenpower.mongo.alarms.progress import (
    ROUND_ID,
    SubjectTimes,
    finish_round,
    forget_rules,
    read_round,
    read_statuses,
    read_times,
    save_positions,
    save_statuses,
    save_times,
)
from greenpower.mongo.alarms.site import seen_devices
from greenpower.mongo.alarms.store import AlarmChange, write_changes
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ALARM_PROGRESS, ALARMS
from greenpower.sql.alarm_rule import AlarmSilence, StoredAlarmRule
from greenpower.sql.device import Device, DeviceType

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def milliseconds_now() -> datetime:
    """The time as MongoDB can keep it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """What a round did. lag: seconds from when the oldest reading that was judged was stored to now."""

    rules: int
    readings: int
    changes: int
    lag: float
    problems: int


@dataclass(kw_only=True)
class _Round:
    """A round under way. open: alarms by rule and subject. seen: the newest observation that unfinished rounds took
    into account."""

    number: int
    now: datetime
    open: dict[tuple[int, str], Document]
    seen: dict[tuple[int, str], datetime]
    times: dict[int, SubjectTimes]
    silences: Sequence[Silence]
    changes: list[AlarmChange] = field(default_factory=list)
    newer: defaultdict[int, dict[str, datetime]] = field(default_factory=lambda: defaultdict(dict))
    statuses: list[Document] = field(default_factory=list)


class Evaluator:
    """Judges rules. db: with archived readings where there are any. sources: as of `SiteView`."""

    def __init__(
        self,
        db: Database[Document],
        session: Session,
        registry: Registry,
        settings: Settings,
        sources: Sources,
        clock: Clock = milliseconds_now,
    ) -> None:
        self._db = db
        self._session = session
        self._registry = registry
        self._settings = settings
        self._sources = sources
        self._clock = clock

    def run(self) -> RoundResult:
        """Judge what is new. Raises RoundLostError where another process does the same, the databases' errors."""
        now = self._clock()
        last = read_round(self._db[ALARM_PROGRESS])
        rules = [AlarmRule.of(row) for row in self._session.scalars(_enabled())]
        silences = [Silence.of(row) for row in self._session.scalars(select(AlarmSilence))]
        site = read_site(self._session)
        devices, intervals = read_devices(self._session)
        self._session.rollback()
        work = self._begin(0 if last is None else last["number"], now, rules, silences)
        view = SiteView(
            db=self._db,
            registry=self._registry,
            settings=self._settings,
            site=site,
            now=now,
            sources=self._sources,
            intervals=intervals,
        )
        checked = self._check(work, rules, site, devices)
        self._end_orphans(work, rules, checked)
        self._end_silences(work)
        began = None if last is None else last["began_at"]
        look = ReadingLook(self._db, self._registry, self._settings, checked, now, began)
        self._judge_all(work, look.newest(), look)
        self._observe_all(work, view, checked)
        changes = write_changes(self._db[ALARMS], work.changes, work.number)
        progress = self._db[ALARM_PROGRESS]
        for rule_id, times in work.newer.items():
            save_times(progress, rule_id, work.times[rule_id], times, work.number)
        save_positions(progress, look.positions)
        save_statuses(progress, work.statuses)
        forget_rules(progress, [rule.number for rule in rules])
        problems = sum(bool(status["problem"]) for status in work.statuses)
        end = self._clock()
        lag = 0.0 if look.oldest is None else max(0.0, (end - look.oldest).total_seconds())
        errors = problems + (0 if last is None else last["errors"])
        finish_round(
            progress,
            work.number - 1,
            {"_id": ROUND_ID, "number": work.number, "began_at": now, "ended_at": end, "readings": look.readings,
             "lag": lag, "errors": errors},
        )  # fmt: skip
        return RoundResult(rules=len(rules), readings=look.readings, changes=changes, lag=lag, problems=problems)

    def _begin(self, finished: int, now: datetime, rules: Iterable[AlarmRule], silences: Sequence[Silence]) -> _Round:
        alarms = self._db[ALARMS]
        unfinished = find_since_round(alarms, finished)
        seen: dict[tuple[int, str], datetime] = {}
        for document in unfinished:
            key = (document["rule_id"], document["subject"])
            seen[key] = max(seen.get(key, document["seen_at"]), document["seen_at"])
        return _Round(
            number=finished + 1,
            now=now,
            open={(item["rule_id"], item["subject"]): item for item in find_open(alarms)},
            seen=seen,
            times=read_times(self._db[ALARM_PROGRESS], [rule.number for rule in rules]),
            silences=silences,
        )

    def _check(
        self, work: _Round, rules: Iterable[AlarmRule], site: EnergySite, devices: DeviceTable
    ) -> list[CheckedRule]:
        """The rules that can be judged; the status of the others says why not."""
        checked = []
        for rule in rules:
            try:
                checked.append(check_rule(rule, self._registry, site, devices))
            except AlarmRuleError as error:
                work.statuses.append(_status(rule, work.now, str(error), 0))
        return checked

    def _end_orphans(self, work: _Round, rules: Iterable[AlarmRule], checked: Iterable[CheckedRule]) -> None:
        """End alarms whose rule is gone or disabled, or is not about their subject any more."""
        there = {rule.number for rule in rules}
        subjects = {item.rule.number: {subject.key for subject in item.subjects} for item in checked}
        every = {item.rule.number: item.rule.type for item in checked if item.every_device}
        known: dict[str, set[str]] = {}
        for (rule_id, key), document in list(work.open.items()):
            if rule_id not in there:
                reason = RULE_GONE
            elif rule_id not in subjects or key in subjects[rule_id]:
                continue
            else:
                type_name = document["subject"].partition("|")[0]
                if rule_id in every:
                    if type_name not in known:
                        known[type_name] = set(seen_devices(self._db, type_name))
                    if document["subject"].partition("|")[2] in known[type_name]:
                        continue
                reason = SUBJECT_GONE
            work.changes.append(ended(document, reason, work.now))
            del work.open[rule_id, key]

    def _end_silences(self, work: _Round) -> None:
        for (rule_id, key), document in work.open.items():
            silent = document["silence_id"] is not None and document["raised_at"] is not None
            if silent and not any(item.covers(rule_id, key, work.now) for item in work.silences):
                work.changes.append(unsilenced(document, work.now))
                document["silence_id"] = None

    def _last_at(self, work: _Round, rule_id: int, subject: AlarmSubject) -> datetime | None:
        known = (work.times[rule_id].times.get(subject.key), work.seen.get((rule_id, subject.key)))
        return max((at for at in known if at is not None), default=None)

    def _judge(self, work: _Round, look: Look, *, in_order: bool) -> LookResult:
        """Judge what was seen of a rule's subjects."""
        rule = look.checked.rule
        maker = ChangeMaker(rule=rule, silences=work.silences, now=work.now)
        result = LookResult(maker=maker)
        for subject, observations in look.observations:
            last_at = self._last_at(work, rule.number, subject)
            found = judge_pair(
                maker, subject, work.open.get((rule.number, subject.key)), last_at, observations, in_order=in_order
            )
            work.changes += found.changes
            if in_order and found.seen_at is not None and found.seen_at != last_at:
                work.newer[rule.number][subject.key] = found.seen_at
            if found.late is not None:
                result.late[subject.key] = subject, found.late, found.seen_at or found.late
                result.told[subject.key] = found.told
        return result

    def _judge_all(self, work: _Round, looks: Iterable[Look], reading_look: ReadingLook) -> None:
        for look in looks:
            result = self._judge(work, look, in_order=True)
            if not result.late:
                continue
            rule = look.checked.rule
            before = series_before(rule.for_s)
            stored = self._stored_since(rule.number, {key: at - before for key, (_, at, _) in result.late.items()})
            # Those of which people know already cost no further look.
            left = {
                key: found
                for key, found in result.late.items()
                if not any(_covers(document, found[1]) for document in stored[key])
            }
            for subject, seen_at, series in reading_look.series(look.checked, left):
                told = result.told[subject.key]
                work.changes += judge_late(result.maker, subject, series, stored[subject.key], told, seen_at)

    def _observe_all(self, work: _Round, view: SiteView, checked: Iterable[CheckedRule]) -> None:
        """Judge rules about figures and signs of life that are due."""
        checked = list(checked)
        before = read_statuses(self._db[ALARM_PROGRESS], [item.rule.number for item in checked])
        for item in checked:
            rule, kind = item.rule, item.kind
            last = before.get(rule.number)
            if kind.observe is None:
                if last is None or last["problem"] or last["subjects"] != len(item.subjects):
                    work.statuses.append(_status(rule, work.now, "", len(item.subjects)))
                continue
            if last is not None and (work.now - last["judged_at"]).total_seconds() < kind.every - 1:
                continue
            try:
                found = kind.observe(view, item.params, item.subjects, kind.look_back)
            except (ValueError, KeyError, ArithmeticError) as error:
                log.warning("alarm rule %d cannot be judged", rule.number, exc_info=True)
                problem = f"it cannot be judged: {type(error).__name__}: {error}"[:300]
                work.statuses.append(_status(rule, work.now, problem, len(item.subjects)))
                continue
            self._judge_series(work, item, found)
            work.statuses.append(_status(rule, work.now, "", len(item.subjects)))

    def _judge_series(self, work: _Round, item: CheckedRule, found: Mapping[str, Sequence[Any]]) -> None:
        rule, in_order = item.rule, bool(item.kind.look_back)
        observations = []
        for subject in item.subjects:
            series = [one for one in found.get(subject.key, ()) if not in_order or one.at >= rule.since]
            if series:
                observations.append((subject, series))
        result = self._judge(work, Look(checked=item, observations=observations), in_order=in_order)
        if result.late:
            whole = {subject.key: series for subject, series in observations}
            stored = self._stored_since(rule.number, {key: whole[key][0].at for key in result.late})
            for key, (subject, _, seen_at) in result.late.items():
                changes = judge_late(result.maker, subject, whole[key], stored[key], result.told[key], seen_at)
                work.changes += changes

    def _stored_since(self, rule_id: int, since: Mapping[str, datetime]) -> defaultdict[str, list[Document]]:
        """The alarms of subjects from when a series of them begins."""
        stored: defaultdict[str, list[Document]] = defaultdict(list)
        for document in find_around(self._db[ALARMS], rule_id, since):
            stored[document["subject"]].append(document)
        return stored


def _covers(document: Mapping[str, Any], at: datetime) -> bool:
    """Whether an alarm that was told goes over a time."""
    if document["raised_at"] is None and not document["open"]:
        return False
    end = None if document["open"] else document["cleared_at"]
    return bool(document["begin"] <= at and (end is None or at < end))


def _enabled() -> Any:
    return select(StoredAlarmRule).where(StoredAlarmRule.enabled).order_by(StoredAlarmRule.id)


def _status(rule: AlarmRule, now: datetime, problem: str, subjects: int) -> Document:
    return {"rule_id": rule.number, "judged_at": now, "problem": problem, "subjects": subjects}


def read_devices(session: Session) -> tuple[DeviceTable, dict[str, int]]:
    """The registered devices, and the seconds between readings that people expect. Raises SQLAlchemyError."""
    zones: dict[str, int | None] = {}
    intervals: dict[str, int] = {}
    names: dict[int, str] = {}
    for id, name, zone, interval in session.execute(
        select(Device.id, Device.device_id, Device.zone_id, Device.interval_seconds)
    ):
        names[id] = name
        zones[name] = zone
        if interval is not None:
            intervals[name] = interval
    types: defaultdict[str, list[str]] = defaultdict(list)
    for id, type_name in session.execute(select(DeviceType.device_id, DeviceType.type)):
        if id in names:
            types[type_name].append(names[id])
    return DeviceTable(zones=zones, types=types), intervals
