"""Feeds: what there is for a target behind a position, oldest written first.

What belongs here: which rows a target gets. What does not: the query (`greenpower.mongo.rollups.changes`), the shape of
a row (`greenpower.mongo.rollups.present`): both are those of the API's `changes/`.

A page goes up to a time at which everything has settled. Where nothing more is there for the target, the position goes
on to that time: a filter that lets little through does not make the next look read what others got.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from bson import ObjectId
from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.outbound.positions import FeedPosition, Gap
from greenpower.mongo.rollups.changes import find_changes
from greenpower.mongo.rollups.named_corrections import naming
from greenpower.mongo.rollups.present import presenter, row_projection
from greenpower.mongo.rollups.tier_view import RAW, read_tier_views
from greenpower.mongo.visible import VisibleDatabase
from greenpower.sql import Device, OutboundContent, OutboundTarget
from greenpower.sql.service_zone import zone_and_below

BATCH_ROWS = 500
# Of a target that is far behind and gets little, so that no query reads all that others got meanwhile.
LONGEST_STRETCH = timedelta(days=1)
FIRST_ID = ObjectId(b"\0" * 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """Rows, and the position behind them. more: there is more to read now. gap: what may be missing before them."""

    rows: Sequence[Document]
    position: FeedPosition
    more: bool
    gap: Gap | None = None


class OutboundFeed(Protocol):
    """One order of rows. name: its own within a target. type, resolution: None where the content has none."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str | None: ...

    @property
    def resolution(self) -> str | None: ...

    def read(self, after: FeedPosition, until: datetime) -> FeedPage:
        """The next rows behind a position that were written before a time. Raises the errors of the databases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFeed:
    """Readings, or buckets of a resolution, of one data type. db: with the devices of the target alone. fields: only
    these, and only rows that have any; empty for all."""

    datatype: DataType
    resolution: str
    db: Database[Document]
    settings: Settings
    fields: Sequence[str]

    @property
    def name(self) -> str:
        return self.datatype.name

    @property
    def type(self) -> str:
        return self.datatype.name

    def read(self, after: FeedPosition, until: datetime) -> FeedPage:
        views = read_tier_views(self.db, self.datatype, self.settings)
        view = next((one for one in views if one.resolution == self.resolution), None)
        if view is None:
            return FeedPage(rows=(), position=_later(after, until), more=False)
        end = min(until, after.at + LONGEST_STRETCH)
        projection = row_projection(view, self.fields, with_stats=True)
        page = find_changes(self.db[view.collection], after, end, BATCH_ROWS, projection)
        present = naming(presenter(view, self.fields, True), self.db, self.datatype.name, view, names=self.fields)
        rows = [
            {**present(document), "updated_at": document["updated_at"]}
            for document in page.documents
            if not self.fields or document.get("payload")
        ]
        if page.more:
            last = page.documents[-1]
            position = FeedPosition(last["updated_at"], last["_id"])
        else:
            # Rows that were written before are all known by now.
            position = _later(after, end)
        gap = Gap(after.at, view.kept_from) if after.at < view.kept_from else None
        return FeedPage(rows=rows, position=position, more=page.more or end < until, gap=gap)


def feeds_of(
    target: OutboundTarget, session: Session, db: Database[Document], registry: Registry, settings: Settings
) -> Iterator[OutboundFeed]:
    """The feeds of a target now. Raises SQLAlchemyError."""
    content = OutboundContent(target.content)
    seen = devices_of(target, session)
    if seen is not None:
        db = VisibleDatabase(db, seen)
    for datatype in registry:
        if target.types and datatype.name not in target.types:
            continue
        resolution = RAW if content is OutboundContent.READINGS else target.resolution
        if resolution is None or (resolution != RAW and resolution not in resolutions(datatype)):
            continue
        yield RowFeed(datatype=datatype, resolution=resolution, db=db, settings=settings, fields=tuple(target.fields))


def devices_of(target: OutboundTarget, session: Session) -> frozenset[str] | None:
    """The devices that a target gets something of, by their ids on the wire; None: all. Raises SQLAlchemyError."""
    found: frozenset[str] | None = None
    if target.zone_id is not None:
        zones = zone_and_below(session, target.zone_id)
        found = frozenset(session.scalars(select(Device.device_id).where(Device.zone_id.in_(zones))))
    if target.devices:
        named = frozenset(target.devices)
        found = named if found is None else found & named
    return found


def resolutions(datatype: DataType) -> list[str]:
    """The resolutions in which a type has buckets, finest first."""
    return [tier.resolution for tier in datatype.tiers if tier.window is not None]


def _later(after: FeedPosition, at: datetime) -> FeedPosition:
    return FeedPosition(at, FIRST_ID) if at > after.at else after


def first_position(target: OutboundTarget) -> FeedPosition:
    """Where a target begins."""
    at: Any = target.begin_at
    return FeedPosition(at, FIRST_ID)
