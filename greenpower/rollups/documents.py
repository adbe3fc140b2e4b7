"""Making the documents of a tier from one source: copies of readings, buckets from readings, buckets from buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.measure.bucket import Bucket, by_window, merge_buckets
from greenpower.measure.counter.dip_filter import AHEAD, BEFORE
from greenpower.measure.counter.register import CounterEvent
from greenpower.measure.series import Rolled, roll
from greenpower.measure.spec import NO_DECISIONS, Spec
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.field_kinds import FieldKinds
from greenpower.mongo.rollups.incidents import OperatorDecisions, save_incidents
from greenpower.mongo.rollups.source import BUCKET, READING, any_before, by_device, neighbours, newest_before
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.rollups.plan import Plan, Source

NO_EXTRA: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be made: the documents of `[begin, end)`, of some devices or (None) of all.

    target: windows that end then or before are done. as_of: taken before anything was read.
    """

    source: Source
    begin: datetime
    end: datetime
    devices: Sequence[str] | None
    target: datetime
    as_of: datetime


@dataclass(slots=True)
class Made:
    """What became of a task. revisit: (device, time) of samples before it that only its readings decided."""

    documents: list[Document] = field(default_factory=list)
    revisit: set[tuple[str, datetime]] = field(default_factory=set)


class Work:
    """Makes documents for one tier. One a run."""

    def __init__(
        self,
        db: Database[Document],
        plan: Plan,
        *,
        spec: Spec,
        decisions: OperatorDecisions,
        field_kinds: FieldKinds,
        clock: Callable[[], datetime],
    ) -> None:
        self.db = db
        self.plan = plan
        self.spec = spec
        self.decisions = decisions
        self.field_kinds = field_kinds
        self.clock = clock

    def make(self, task: Task) -> Made:
        """The documents of a task. Raises PyMongoError."""
        if self.plan.window is None:
            return self._copy(task)
        if task.source.window is None:
            return self._roll(task, self.plan.window)
        return self._merge(task, self.plan.window)

    def _copy(self, task: Task) -> Made:
        found = by_device(self.db[task.source.collection], task.begin, task.end, task.devices, {"_id": 0})
        now = self.clock()
        return Made(
            [
                {**document, "as_of": task.as_of, "updated_at": now}
                for documents in found.values()
                for document in documents
            ]
        )

    def _merge(self, task: Task, window: int) -> Made:
        found = by_device(self.db[task.source.collection], task.begin, task.end, task.devices, BUCKET)
        made = Made()
        for device, documents in found.items():
            decisions = self.decisions.get(device, NO_DECISIONS)
            buckets = (
                merge_buckets(parts, start, self.spec, decisions)
                for start, parts in by_window(documents, window).items()
            )
            made.documents += self._documents(device, buckets, task, window)
        return made

    def _roll(self, task: Task, window: int) -> Made:
        source = self.db[task.source.collection]
        found = by_device(source, task.begin, task.end, task.devices, READING)
        before: Mapping[str, list[Document]] = {}
        counting = bool(self.spec.counters)
        if counting and found and any_before(source, task.begin):
            before = dict(newest_before(source, list(found), task.begin, BEFORE))
        made = Made()
        incidents: list[tuple[str, CounterEvent]] = []
        for device, documents in found.items():
            rolled = self._device(source, device, before.get(device, []), documents, task, window)
            made.documents += self._documents(device, rolled.buckets, task, window)
            made.revisit |= {(device, time) for time in rolled.revisit}
            incidents += ((device, incident) for incident in rolled.incidents)
        if counting:
            devices = found.keys() | set(task.devices or ())
            stretches = [(device, task.begin, task.end) for device in devices]
            save_incidents(self.db[INCIDENTS], self.plan.datatype.name, incidents, stretches, task.as_of)
        return made

    def _device(
        self,
        source: Collection[Document],
        device: str,
        before: list[Document],
        inside: list[Document],
        task: Task,
        window: int,
    ) -> Rolled:
        """Roll one device's readings; look further around where its counters need it, and let in new fields."""
        extra = self.field_kinds.let_in(device) if self.plan.datatype.open else NO_EXTRA
        decisions = self.decisions.get(device, NO_DECISIONS)

        def go(before: list[Document], after: list[Document]) -> Rolled:
            documents = [*before, *inside, *after]
            return roll(
                [document["timestamp"] for document in documents],
                [document["payload"] for document in documents],
                begin=task.begin,
                end=task.end,
                length=window,
                spec=self.spec,
                settled_before=task.target,
                decisions=decisions,
                extra=extra,
            )

        rolled = go(before, [])
        wider, after, again = before, [], False
        if rolled.unknown and (let_in := self.field_kinds.ask(device, rolled.unknown)) != extra:
            extra, again = let_in, True
        if rolled.short and len(before) >= BEFORE:
            wider = _joined(
                before,
                (neighbours(source, device, task.begin, BEFORE, before=True, field=name) for name in rolled.short),
            )
            again |= len(wider) > len(before)
        if rolled.open:
            after = _joined(
                [], (neighbours(source, device, task.end, AHEAD, before=False, field=name) for name in rolled.open)
            )
            again |= bool(after)
        return go(wider, after) if again else rolled

    def _documents(self, device: str, buckets: Iterable[Bucket], task: Task, window: int) -> list[Document]:
        now = self.clock()
        length = timedelta(seconds=window)
        return [
            {
                "device_id": device,
                "timestamp": bucket.start,
                "payload": bucket.payload,
                "stats": bucket.stats,
                "coverage": {"count": bucket.count, "first": bucket.first, "last": bucket.last},
                "final": bucket.settled and bucket.start + length <= task.target,
                "as_of": task.as_of,
                "updated_at": now,
            }
            for bucket in buckets
        ]


def _joined(known: list[Document], more: Iterable[list[Document]]) -> list[Document]:
    """Readings in order of time; of those that are not known, the fields that were asked for."""
    whole = {document["timestamp"] for document in known}
    parts: dict[datetime, Document] = {}
    for documents in more:
        for document in documents:
            if document["timestamp"] not in whole:
                part = parts.setdefault(document["timestamp"], {"timestamp": document["timestamp"], "payload": {}})
                part["payload"].update(document["payload"])
    return sorted([*known, *parts.values()], key=lambda document: document["timestamp"])
