"""On-the-fly buckets: those that a tier's job has not done yet, made from finer ones and from readings, not stored.

The same functions make the stored ones, so what is shown is what the job will store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.measure.bucket import Bucket, by_window, merge_buckets
from greenpower.measure.counter.dip_filter import SAMPLES_BEFORE
from greenpower.measure.roll import roll
from greenpower.measure.spec import NO_DECISIONS, Spec
from greenpower.measure.windows import done_before, floor
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.field_kinds import FieldKinds
from greenpower.mongo.rollups.incidents import OperatorDecisions, read_decisions
from greenpower.mongo.rollups.source import BUCKET, READING, any_before, by_device, count_within, newest_before
from greenpower.mongo.rollups.tier_view import TierView
from greenpower.mongo.rollups.watermarks import EPOCH
from greenpower.mongo.schema.layout import FIELD_KINDS, INCIDENTS

# Readings and buckets that one query may take. With more, the rollups are so far behind that none is made.
MAX_DOCUMENTS_ON_THE_FLY = 30_000

Found = dict[str, list[Document]]


class OnTheFly:
    """Makes buckets for one query. Raises PyMongoError."""

    def __init__(
        self, db: Database[Document], datatype: DataType, tier_views: Sequence[TierView], now: datetime
    ) -> None:
        self.db = db
        self.datatype = datatype
        self.tier_views = tier_views
        self.now = now
        self._spec: Spec | None = None
        self._decisions: OperatorDecisions = {}
        self._field_kinds: FieldKinds | None = None

    def make(
        self, tier_view: TierView, begin: datetime, end: datetime, devices: Sequence[str] | None
    ) -> list[Document] | None:
        """The buckets of a tier from `begin`, where its done windows end, to those that start before `end`.

        In order of time and device, without `_id`, none of them final. devices: None for all. None where it would take
        too much to make them.
        """
        self._prepare()
        assert tier_view.window is not None
        limit = floor(end, tier_view.window) + timedelta(seconds=tier_view.window)
        made = self._build(list(self.tier_views).index(tier_view), begin, limit, devices)
        if made is None:
            return None
        rows = [{**document, "final": False} for documents in made.values() for document in documents]
        rows.sort(key=lambda document: (document["timestamp"], document["device_id"]))
        return rows

    def _prepare(self) -> None:
        if self._spec is not None:
            return
        self._field_kinds = FieldKinds(self.db[FIELD_KINDS], self.datatype.name)
        declared = Spec.from_datatype(self.datatype)
        self._spec = Spec.from_datatype(self.datatype, self._field_kinds.changed(declared.kinds))
        self._decisions = read_decisions(self.db[INCIDENTS], self.datatype.name) if declared.counters else {}

    def _build(self, level: int, begin: datetime, end: datetime, devices: Sequence[str] | None) -> Found | None:
        tier_view = self.tier_views[level]
        if tier_view.window is None:
            return None
        done = min(end, tier_view.done_until or EPOCH)
        found: Found = {}
        if begin < done:
            if self._too_many(tier_view, begin, done, devices):
                return None
            found = by_device(self.db[tier_view.collection], begin, done, devices, BUCKET)
            begin = done
        if begin >= end:
            return found
        source = self._below(level, begin)
        if self.tier_views[source].window is None:
            made = self._roll(self.tier_views[source], begin, end, tier_view.window, devices)
        else:
            finer = self._build(source, begin, end, devices)
            made = None if finer is None else self._merge(finer, tier_view.window)
        if made is None:
            return None
        for device, documents in made.items():
            found.setdefault(device, []).extend(documents)
        return found

    def _below(self, level: int, begin: datetime) -> int:
        """The coarsest finer tier that is whole from a time on; readings where none is."""
        return next((index for index in range(level - 1, 0, -1) if self.tier_views[index].whole_from <= begin), 0)

    def _too_many(self, tier_view: TierView, begin: datetime, end: datetime, devices: Sequence[str] | None) -> bool:
        collection, most = self.db[tier_view.collection], MAX_DOCUMENTS_ON_THE_FLY
        if devices is None:
            return count_within(collection, begin, end, most + 1) > most
        query = {"device_id": {"$in": list(devices)}, "timestamp": {"$gte": begin, "$lt": end}}
        return collection.count_documents(query, limit=most + 1) > most

    def _merge(self, finer: Found, window: int) -> Found:
        assert self._spec is not None
        return {
            device: [
                _document(device, merge_buckets(parts, start, self._spec, self._decisions.get(device, NO_DECISIONS)))
                for start, parts in by_window(documents, window).items()
            ]
            for device, documents in finer.items()
        }

    def _roll(
        self, tier_view: TierView, begin: datetime, end: datetime, window: int, devices: Sequence[str] | None
    ) -> Found | None:
        assert self._spec is not None and self._field_kinds is not None
        if self._too_many(tier_view, begin, end, devices):
            return None
        readings = self.db[tier_view.collection]
        found = by_device(readings, begin, end, devices, READING)
        before: Mapping[str, list[Document]] = {}
        if self._spec.counters and found and any_before(readings, begin):
            before = dict(newest_before(readings, list(found), begin, SAMPLES_BEFORE))
        made: Found = {}
        for device, inside in found.items():
            documents = [*before.get(device, ()), *inside]
            rolled = roll(
                [document["timestamp"] for document in documents],
                [document["payload"] for document in documents],
                begin=begin,
                end=end,
                length=window,
                spec=self._spec,
                settled_before=done_before(self.now, None),
                decisions=self._decisions.get(device, NO_DECISIONS),
                accepted=self._field_kinds.accepted(device) if self.datatype.open else frozenset(),
            )
            made[device] = [_document(device, bucket) for bucket in rolled.buckets]
        return made


def _document(device: str, bucket: Bucket) -> Document:
    return {
        "device_id": device,
        "timestamp": bucket.start,
        "payload": bucket.payload,
        "stats": bucket.stats,
        "coverage": {"count": bucket.count, "first": bucket.first, "last": bucket.last},
        "final": bucket.settled,
    }
