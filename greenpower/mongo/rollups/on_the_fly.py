"""On-the-fly buckets: those that a tier's job has not done yet, or that the tier keeps no longer, made from finer ones
and from readings, not stored.

The same functions make the stored ones, so what is shown is what the job will store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta, tzinfo

import pymongo
from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.measure.bucket import Bucket, by_window, merge_buckets
from greenpower.measure.correction import SampleCorrections
from greenpower.measure.spec import Spec
from greenpower.measure.windows import done_before, floor
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import read_sample_corrections
from greenpower.mongo.devices.powers import read_powers
from greenpower.mongo.devices.zones import DeviceZones, read_zones
from greenpower.mongo.energy.around import roll_devices
from greenpower.mongo.energy.before import RollContext, accept_none, look_before, read_inside
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.rollups.field_kinds import FieldKinds
from greenpower.mongo.rollups.incidents import OperatorDecisions, read_decisions
from greenpower.mongo.rollups.source import BUCKET, READING, by_device, count_within
from greenpower.mongo.rollups.tier_view import TierView
from greenpower.mongo.rollups.watermarks import EPOCH
from greenpower.mongo.schema.layout import FIELD_KINDS, INCIDENTS

# Readings and buckets that one query may take. With more, the rollups are so far behind that none is made.
MAX_DOCUMENTS_ON_THE_FLY = 30_000

# From when it may begin.
ON_THE_FLY_SECONDS = 4 * QUERY_SECONDS
# A document with all its fields, to one of a single field: what a turn is asked for.
COST_OF_DOCUMENT = 4

Found = dict[str, list[Document]]
# Waits until work of some cost may begin; within it the work is done.
Turn = Callable[[int], AbstractContextManager[None]]


def at_once(cost: int) -> AbstractContextManager[None]:
    """A turn that nothing waits for."""
    return nullcontext()


class OnTheFly:
    """Makes buckets for one query. zone: of devices without one of their own. turn: waits until costly work may begin.
    Raises PyMongoError."""

    def __init__(
        self,
        db: Database[Document],
        datatype: DataType,
        tier_views: Sequence[TierView],
        now: datetime,
        *,
        zone: tzinfo,
        turn: Turn = at_once,
    ) -> None:
        self.db = db
        self._turn = turn
        self.datatype = datatype
        self.tier_views = tier_views
        self.now = now
        self._spec: Spec | None = None
        self._decisions: OperatorDecisions = {}
        self._powers: Mapping[str, float] = {}
        self._zones = DeviceZones(default=zone)
        self._corrections: SampleCorrections = {}
        self._field_kinds: FieldKinds | None = None

    def make(
        self, tier_view: TierView, begin: datetime, end: datetime, devices: Sequence[str] | None
    ) -> list[Document] | None:
        """The buckets of a tier from `begin`, where its done windows end, to those that start before `end`.

        In order of time and device, without `_id`, none of them final. devices: None for all. None where it would take
        too much to make them.
        """
        assert tier_view.window is not None
        level = list(self.tier_views).index(tier_view)
        limit = floor(end, tier_view.window) + timedelta(seconds=tier_view.window)
        with pymongo.timeout(QUERY_SECONDS):
            cost = self._cost(level, begin, limit, devices)
        if cost is None:
            return None
        with self._turn(COST_OF_DOCUMENT * cost), pymongo.timeout(ON_THE_FLY_SECONDS):
            self._prepare()
            made = self._build(level, begin, limit, devices)
        rows = [{**document, "final": False} for documents in made.values() for document in documents]
        rows.sort(key=lambda document: (document["timestamp"], document["device_id"]))
        return rows

    def make_past(
        self, tier_view: TierView, begin: datetime, end: datetime, devices: Sequence[str] | None
    ) -> list[Document] | None:
        """The buckets of whole windows `[begin, end)` that a tier keeps no longer, as `make` gives them, but final
        where no sample may follow. None where it would take too much."""
        level = list(self.tier_views).index(tier_view)
        with pymongo.timeout(QUERY_SECONDS):
            cost = self._cost(self._below(level, begin), begin, end, devices)
        if cost is None:
            return None
        with self._turn(COST_OF_DOCUMENT * cost), pymongo.timeout(ON_THE_FLY_SECONDS):
            self._prepare()
            made = self._from_below(level, begin, end, devices)
        rows = [document for documents in made.values() for document in documents]
        rows.sort(key=lambda document: (document["timestamp"], document["device_id"]))
        return rows

    def _prepare(self) -> None:
        if self._spec is not None:
            return
        self._field_kinds = FieldKinds(self.db[FIELD_KINDS], self.datatype.name)
        declared = Spec.from_datatype(self.datatype)
        self._spec = Spec.from_datatype(self.datatype, self._field_kinds.changed(declared.kinds))
        self._corrections = read_sample_corrections(self.db, self.datatype.name)
        if declared.counters:
            self._decisions = read_decisions(self.db[INCIDENTS], self.datatype.name)
            self._powers = read_powers(self.db)
        if declared.has_days:
            self._zones = DeviceZones(default=self._zones.default, own=read_zones(self.db))

    def _cost(self, level: int, begin: datetime, end: datetime, devices: Sequence[str] | None) -> int | None:
        """How many documents `_build` reads; None where they are too many."""
        tier_view = self.tier_views[level]
        done = end if tier_view.window is None else min(end, tier_view.done_until or EPOCH)
        count = 0
        if begin < done:
            collection, most = self.db[tier_view.collection], MAX_DOCUMENTS_ON_THE_FLY
            count = count_within(collection, begin, done, most + 1, devices=devices)
            if count > most:
                return None
            begin = done
        if begin >= end:
            return count
        finer = self._cost(self._below(level, begin), begin, end, devices)
        return None if finer is None else count + finer

    def _build(self, level: int, begin: datetime, end: datetime, devices: Sequence[str] | None) -> Found:
        tier_view = self.tier_views[level]
        assert tier_view.window is not None
        done = min(end, tier_view.done_until or EPOCH)
        found: Found = {}
        if begin < done:
            found = by_device(self.db[tier_view.collection], begin, done, devices, BUCKET)
            begin = done
        if begin >= end:
            return found
        for device, documents in self._from_below(level, begin, end, devices).items():
            found.setdefault(device, []).extend(documents)
        return found

    def _from_below(self, level: int, begin: datetime, end: datetime, devices: Sequence[str] | None) -> Found:
        """The buckets of a tier from finer ones, or from readings."""
        tier_view, source = self.tier_views[level], self._below(level, begin)
        assert tier_view.window is not None
        if self.tier_views[source].window is None:
            return self._roll(self.tier_views[source], tier_view.collection, begin, end, tier_view.window, devices)
        return self._merge(self._build(source, begin, end, devices), tier_view.window)

    def _below(self, level: int, begin: datetime) -> int:
        """The coarsest finer tier that is whole from a time on; readings where none is."""
        return next((index for index in range(level - 1, 0, -1) if self.tier_views[index].whole_from <= begin), 0)

    def _merge(self, finer: Found, window: int) -> Found:
        assert self._spec is not None
        settled_before = done_before(self.now, None)
        return {
            device: [
                _document(device, merge_buckets(parts, start, self._spec, length=window, settled_before=settled_before))
                for start, parts in by_window(documents, window).items()
            ]
            for device, documents in finer.items()
        }

    def _roll(
        self, tier_view: TierView, tier: str, begin: datetime, end: datetime, window: int, devices: Sequence[str] | None
    ) -> Found:
        readings = self.db[tier_view.collection]
        context = self._context(tier)
        found = read_inside(context, readings, begin, end, devices, READING)
        before = look_before(context, readings, list(found), begin, held=True)
        made: Found = {}
        for device, rolled in roll_devices(context, readings, before, found, begin, end, window):
            made[device] = [_document(device, bucket) for bucket in rolled.buckets]
        return made

    def _context(self, tier: str) -> RollContext:
        assert self._spec is not None and self._field_kinds is not None
        field_kinds = self._field_kinds
        return RollContext(
            db=self.db,
            datatype=self.datatype,
            tier=self.db[tier],
            spec=self._spec,
            decisions=self._decisions,
            settled_before=done_before(self.now, None),
            powers=self._powers,
            zones=self._zones,
            corrections=self._corrections,
            accept=(lambda device, names: field_kinds.accepted(device)) if self.datatype.open else accept_none,
        )


def _document(device: str, bucket: Bucket) -> Document:
    return {
        "device_id": device,
        "timestamp": bucket.start,
        **bucket.to_document(),
        "final": bucket.settled,
    }
