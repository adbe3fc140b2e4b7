"""New readings as observations of the rules that judge readings.

Each reading is looked at as soon as it is there, and once more when slower writers have stored theirs. The second look
finds what the first could not see; of what it has seen before nothing comes again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pymongo.database import Database

from greenpower.alarms.look import LateSubject, Look
from greenpower.alarms.machine import Observation, is_late
from greenpower.alarms.rule import CheckedRule
from greenpower.alarms.subject import AlarmSubject, device_subject
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.mongo.alarms.progress import read_positions
from greenpower.mongo.alarms.readings import TICK, find_series, find_written, reading_projection
from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import held_by_mongo
from greenpower.mongo.schema.layout import ALARM_PROGRESS

# So much before a late reading tells what went on when it was measured.
SERIES_BEFORE = timedelta(hours=1)
# A reading appears some time after its stamp. So the first look goes over the last seconds again in the next round; the
# second one finds the rare reading that took longer.
OVERLAP = timedelta(seconds=10)


class ReadingLook:
    """The new readings of a round. positions: up to where they were looked at: newest, settled. oldest: when the oldest
    of those that were new was stored. last: when the last round began."""

    def __init__(
        self,
        db: Database[Document],
        registry: Registry,
        settings: Settings,
        checked: Iterable[CheckedRule],
        now: datetime,
        last: datetime | None = None,
    ) -> None:
        self._db = db
        self._registry = registry
        self._now = now
        self._last = last
        self._horizon = now - timedelta(seconds=settings.changes_horizon_seconds)
        self._rules: defaultdict[str, list[CheckedRule]] = defaultdict(list)
        for item in checked:
            if item.kind.judge is not None and item.rule.type is not None:
                self._rules[item.rule.type].append(item)
        self.positions: dict[str, tuple[datetime, datetime]] = {}
        self.readings = 0
        self.oldest: datetime | None = None

    def newest(self) -> Iterator[Look]:
        """What is new for each rule. Raises PyMongoError."""
        known = read_positions(self._db[ALARM_PROGRESS], self._rules)
        for name, rules in self._rules.items():
            documents = self._read(name, rules, known.get(name))
            if not documents:
                continue
            by_device: defaultdict[str, list[Document]] = defaultdict(list)
            for document in documents:
                by_device[document["device_id"]].append(document)
            for several in by_device.values():
                if len(several) > 1:
                    several.sort(key=lambda item: item["timestamp"])
            for item in rules:
                yield Look(checked=item, observations=list(self._observed(item, by_device)))

    def _read(self, name: str, rules: Sequence[CheckedRule], known: Document | None) -> list[Document]:
        begin = min(item.rule.since for item in rules) - TICK
        newest, settled = (begin, begin) if known is None else (known["newest"], known["settled"])
        newest, settled = max(newest, begin), max(settled, begin)
        readings = self._collection(name)
        shown = reading_projection(_fields(rules))
        fresh, newest_until = find_written(readings, newest, self._now, shown)
        again: list[Document] = []
        settled_until = settled
        if settled < min(self._horizon, newest):
            # What the first look has not come to yet is left to it.
            again, settled_until = find_written(readings, settled, min(self._horizon, newest), shown)
        # Never back: where the clock was set back, what is there is read again until it is where it was.
        self.positions[name] = max(newest, min(newest_until, self._now - OVERLAP)), settled_until
        stored = [item["updated_at"] for item in fresh if self._last is None or item["updated_at"] > self._last]
        self.readings += len(stored)
        if stored:
            self.oldest = stored[0] if self.oldest is None else min(self.oldest, stored[0])
        return again + fresh

    def _observed(
        self, item: CheckedRule, by_device: Mapping[str, Sequence[Document]]
    ) -> Iterator[tuple[AlarmSubject, list[Observation]]]:
        if item.every_device:
            names: Iterable[str] = by_device
        else:
            names = [
                subject.device_id
                for subject in item.subjects
                if subject.device_id is not None and subject.device_id in by_device
            ]
        type_name = item.rule.type or ""
        for name in names:
            observations = _observations(item, by_device[name])
            if observations:
                yield device_subject(type_name, name), observations

    def series(
        self, item: CheckedRule, late: Mapping[str, LateSubject]
    ) -> Iterator[tuple[AlarmSubject, datetime, list[Observation]]]:
        """The series around late readings, with the newest observation of each. Raises PyMongoError."""
        before = series_before(item.rule.for_s)
        of_device = {subject.device_id or "": (subject, at, seen_at) for subject, at, seen_at in late.values()}
        spans = {device: (at - before, seen_at) for device, (_, at, seen_at) in of_device.items()}
        readings = self._collection(item.rule.type or "")
        for device, documents in find_series(readings, spans, reading_projection(_fields([item]))):
            subject, _, seen_at = of_device[device]
            yield subject, seen_at, _observations(item, documents, late=True)

    def _collection(self, name: str):  # type: ignore[no-untyped-def]
        datatype = self._registry.get(name)
        assert datatype is not None
        return held_by_mongo(self._db[datatype.collection])


def series_before(for_s: float) -> timedelta:
    """How long before a late reading the series around it begins."""
    return max(SERIES_BEFORE, timedelta(seconds=for_s))


def _fields(rules: Iterable[CheckedRule]) -> set[str] | None:
    names: set[str] = set()
    for item in rules:
        if item.kind.fields is None:
            return None
        names.update(item.kind.fields(item.params))
    return names


def observe_readings(item: CheckedRule, documents: Iterable[Document], *, late: bool = False) -> Iterator[Observation]:
    """Readings, in order of time, as a rule sees them. late: all of them came late."""
    judge, params, since = item.kind.judge, item.params, item.rule.since
    assert judge is not None
    for document in documents:
        at = document["timestamp"]
        if at < since or (judged := judge(params, document.get("payload", {}))) is None:
            continue
        condition, value = judged
        behind = late or is_late(at, document["received_at"])
        yield Observation(at=at, condition=condition, value=value, late=behind)


def _observations(item: CheckedRule, documents: Iterable[Document], *, late: bool = False) -> list[Observation]:
    found: list[Observation] = []
    for observation in observe_readings(item, documents, late=late):
        if found and found[-1].at == observation.at:
            found.pop()  # the same reading, read twice
        found.append(observation)
    return found
