"""Tier views: where the data of a type can be read, from when on it is whole, and how far it is computed.

What belongs here: what each collection holds now. What does not: which of them a query is answered from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from greenpower.catalog.retention import raw_retention, tier_retention
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import ArchivedSpan, FederatedDatabase
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges
from greenpower.mongo.rollups.watermarks import EPOCH, RETENTION_MARGIN, progress_of
from greenpower.mongo.schema.layout import WATERMARKS

RAW = "raw"
# What is archived of a type, beside what the rollups wrote down of its readings.
ARCHIVED = "archived"
Tiers = Mapping[str, Mapping[str, Any]]  # by prefix, what the rollups wrote down


@dataclass(frozen=True, slots=True, kw_only=True)
class TierView:
    """A collection of a type.

    window: length of its buckets in seconds, None for readings. kept_from: nothing later has expired yet. whole_from:
    the same, with a margin, since reading takes a while. done_until: windows that end then or
    before are done; None where none ever was. resolution: `raw`, or the window as people write it.
    """

    collection: str
    resolution: str
    window: int | None
    kept_from: datetime
    whole_from: datetime
    done_until: datetime | None


def read_tiers(db: Database[Document], datatype: DataType) -> Tiers:
    """What the rollups wrote down of a type's tiers, by prefix. Raises PyMongoError."""
    # "0" follows "/".
    query = {"_id": {"$gte": f"{datatype.name}/", "$lt": f"{datatype.name}0"}}
    found: dict[str, Mapping[str, Any]] = {document["prefix"]: document for document in db[WATERMARKS].find(query)}
    if isinstance(db, FederatedDatabase) and (span := db.archived_span(datatype.name)) is not None:
        found[""] = {**found.get("", {}), ARCHIVED: span}
    return found


def read_tier_views(
    db: Database[Document], datatype: DataType, settings: Settings, ranges: Ranges = ALL_RANGES
) -> tuple[TierView, ...]:
    """The tier views of a type now, for devices in some ranges. Raises PyMongoError."""
    progress = read_tiers(db, datatype)
    if ranges != ALL_RANGES:
        progress = {
            prefix: {**state, "watermark": progress_of(datatype.name, prefix, state).reached(ranges)}
            for prefix, state in progress.items()
        }
    return make_tier_views(datatype, settings, progress)


def make_tier_views(datatype: DataType, settings: Settings, progress: Tiers) -> tuple[TierView, ...]:
    """The tier views of a type: readings first, then its tiers, finest first."""
    now = datetime.now(UTC)
    raw = _tier_view(datatype.collection, None, RAW, raw_retention(settings), progress.get("", {}), now)
    tiers = []
    for tier in datatype.tiers:
        name, ttl = tier.prefix + datatype.collection, tier_retention(tier, settings)
        tier_view = _tier_view(name, tier.window, tier.resolution, ttl, progress.get(tier.prefix, {}), now)
        if tier.window is not None:
            tiers.append(tier_view)
        elif tier_view.done_until is not None and tier_view.kept_from < raw.kept_from:
            # Copies matter where they outlive the readings; they are as good.
            raw = tier_view
    return (raw, *tiers)


def _tier_view(
    collection: str, window: int | None, resolution: str, ttl: int, progress: Mapping[str, Any], now: datetime
) -> TierView:
    kept, whole = EPOCH, progress.get("complete_from", EPOCH)
    if ttl:
        length = timedelta(seconds=ttl)
        kept = now - length
        margin = min(RETENTION_MARGIN, length / 10)
        archived: ArchivedSpan | None = progress.get(ARCHIVED)
        if archived is not None and archived.end >= kept + margin:
            # Nothing has expired that is not archived.
            kept = whole = progress.get("complete_from", archived.begin)
        else:
            whole = max(whole, kept + margin)
    return TierView(
        collection=collection,
        resolution=resolution,
        window=window,
        kept_from=kept,
        whole_from=whole,
        done_until=progress.get("watermark"),
    )
