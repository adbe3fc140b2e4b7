"""Layout: which collections there are, their indexes and their retention.

What belongs here: names, index declarations and the one function that brings a database up to them. What does not:
queries, and how a collection is stored (`greenpower.mongo.schema.compression`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import OperationFailure

from greenpower.catalog.retention import raw_retention, tier_retention
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.datatype.tier import MAX_RETENTION_SECONDS
from greenpower.mongo.client import Document
from greenpower.mongo.schema.compression import make_compressed

EVENTS = "telemetry_events"
CLOCKS = "device_clocks"
PARTS = "reading_parts"
MESSAGES = "message_times"
SESSIONS = "device_sessions"
SEEN = "devices_seen"
LISTENING = "ingest_watch"
DEVICE_SETTINGS = "device_settings"
INVALIDATIONS = "rollup_marks"
INVALIDATION_READS = "rollup_mark_reads"
WATERMARKS = "rollup_watermarks"
FIELD_KINDS = "rollup_fields"
ATTEMPTS = "rollup_attempts"
INCIDENTS = "counter_incidents"
CORRECTIONS = "corrections"
EXCHANGES = "meter_exchanges"
ADJUSTMENTS = "energy_adjustments"
INTERVALS = "energy_intervals"
ENERGY_DAYS = "energy_days"
ANSWERS = "command_answers"
PUSH_KEYS = "push_keys"
ARCHIVE_MANIFEST = "archive_manifest"
SCHEMA = "schema"
PROCESSES = "processes"
RESTORES = "restores"
UPLOADS = "import_uploads"
WIRING_FINDINGS = "wiring_findings"
NOTIFICATIONS = "notifications"
ALARMS = "alarms"
ALARM_PROGRESS = "alarm_progress"
OUTBOUND_POSITIONS = "outbound_positions"
# Of the processes that run and of work under way, not of what is stored: no backup has them, and no restore replaces
# them.
NOT_DATA = (PROCESSES, RESTORES, UPLOADS)
# What a restore loads beside the data has this before its name.
STAGED = "restoring_"

# A TTL index cannot be turned back into a plain one in place.
FOREVER = MAX_RETENTION_SECONDS
PARTS_TTL = 86_400
# How long a message with an id is known again: longer than a broker keeps one that was not acknowledged.
MESSAGES_TTL = 7 * 86_400
PROCESSES_TTL = 86_400
# Times at which ingest listened: kept longer than any device may be silent.
LISTENING_TTL = 90 * 86_400
# Findings that later days no longer showed.
CLOSED_FINDINGS_TTL = 400 * 86_400
UPLOADS_TTL = 30 * 86_400
# Commands and their results are in SQL; only answers to commands of others stay here.
ANSWERS_TTL = 30 * 86_400
# Late results of a job that was frozen for longer are missed only if it was killed right after writing them.
ATTEMPTS_TTL = 86_400
# An alarm that was pending and not raised: kept as long as its readings may be judged again.
CANCELLED_ALARMS_TTL = 86_400
# The few documents whose entry of the audit is still to be written (`greenpower.mongo.unaudited`).
UNAUDITED_KEYS, WITH_ENTRY = ("unaudited.id",), {"unaudited": {"$exists": True}}
# Events of frames that added nothing: few, and often searched for.
ADDED_NOTHING: Document = {"outcome": {"$in": ["rejected", "noted", "duplicate"]}}
INDEX_NOT_FOUND = 27
# Indexes that were replaced by others; they are dropped when those exist.
OUTGROWN = {
    EVENTS: ("outcome_received_at",),
    CORRECTIONS: ("begin", "device_id_begin", "incident_id", "group"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One index: keys in order, all ascending. ttl: seconds until documents expire, 0 for never; None for no TTL index.

    suffix: of its name, where another index of the same keys existed before.
    """

    keys: tuple[str, ...]
    unique: bool = False
    ttl: int | None = None
    partial: Document = field(default_factory=dict)
    suffix: str = ""

    @property
    def name(self) -> str:
        return "_".join(self.keys) + self.suffix


def reading_indexes(ttl: int) -> tuple[Index, ...]:
    """The indexes of a raw collection: dedupe and the query of one device; time and retention; the changes feed."""
    return (
        Index(keys=("device_id", "timestamp"), unique=True),
        Index(keys=("timestamp",), ttl=ttl),
        Index(keys=("updated_at",)),
    )


def event_indexes(ttl: int) -> tuple[Index, ...]:
    """The indexes of the events: retention; one device's; one type's, for replay too; one topic's; the few that
    added nothing.
    """
    return (
        Index(keys=("received_at",), ttl=ttl),
        Index(keys=("device_id", "received_at")),
        Index(keys=("type", "received_at")),
        Index(keys=("topic", "received_at")),
        Index(
            keys=("outcome", "received_at"),
            partial=ADDED_NOTHING,
            suffix="_of_others",
        ),
    )


def layout(datatypes: Iterable[DataType], settings: Settings) -> Iterator[tuple[str, tuple[Index, ...]]]:
    """Each collection with its indexes."""
    for datatype in datatypes:
        yield datatype.collection, reading_indexes(raw_retention(settings))
        for tier in datatype.tiers:
            yield tier.prefix + datatype.collection, reading_indexes(tier_retention(tier, settings))
    yield EVENTS, event_indexes(settings.mongo_events_ttl_seconds)
    yield CLOCKS, ()
    yield SESSIONS, ()
    yield SEEN, (Index(keys=("type", "last_reading")),)
    yield LISTENING, (Index(keys=("until",), ttl=LISTENING_TTL),)
    yield DEVICE_SETTINGS, (Index(keys=("written_at",)),)
    yield PARTS, (Index(keys=("key",)), Index(keys=("received_at",), ttl=PARTS_TTL))
    yield MESSAGES, (Index(keys=("received_at",), ttl=MESSAGES_TTL),)
    yield INVALIDATIONS, (Index(keys=("type", "prefix", "since")),)
    yield INVALIDATION_READS, ()
    yield WATERMARKS, ()
    yield FIELD_KINDS, ()
    yield ANSWERS, (Index(keys=("taken", "received_at")), Index(keys=("received_at",), ttl=ANSWERS_TTL))
    unaudited = Index(keys=UNAUDITED_KEYS, partial=WITH_ENTRY)
    yield PUSH_KEYS, (Index(keys=("made_at",)), unaudited)
    yield ARCHIVE_MANIFEST, ()
    yield SCHEMA, ()
    yield PROCESSES, (Index(keys=("seen_at",), ttl=PROCESSES_TTL),)
    yield RESTORES, ()
    yield UPLOADS, (Index(keys=("state", "created_at")), Index(keys=("created_at",), ttl=UPLOADS_TTL))
    yield (
        NOTIFICATIONS,
        (
            Index(keys=("state", "channel_id", "created_at", "position")),
            Index(keys=("channel_id", "created_at")),
            Index(keys=("channel_id", "done_at")),
            Index(keys=("created_at",)),
            Index(keys=("done_at",), ttl=settings.mongo_notifications_ttl_seconds),
        ),
    )
    yield OUTBOUND_POSITIONS, ()
    yield ATTEMPTS, (Index(keys=("type", "prefix")), Index(keys=("at",), ttl=ATTEMPTS_TTL))
    yield (
        INCIDENTS,
        (
            Index(keys=("type", "device_id", "field", "at", "swap"), unique=True),
            Index(keys=("type", "at")),
            Index(keys=("device_id", "at")),
            Index(keys=("status", "at")),
            Index(keys=("incident", "at")),
            Index(keys=("current", "at")),
            Index(keys=("type", "settled", "at"), partial={"settled": False}),
            Index(keys=("type", "until"), partial={"until": {"$type": "date"}}),
            Index(keys=("changed",), partial={"changed": {"$type": "objectId"}}),
            unaudited,
        ),
    )
    yield (
        CORRECTIONS,
        (
            Index(keys=("type", "device_id", "field", "kind", "number"), unique=True),
            Index(keys=("type", "revoked_at", "begin")),
            Index(keys=("device_id", "begin", "_id")),
            Index(keys=("begin", "_id")),
            Index(keys=("updated_at",)),
            # A query for a value does not use an index that has a type as its condition.
            Index(keys=("incident_id",), partial={"incident_id": {"$exists": True}}, suffix="_given"),
            Index(keys=("group",), partial={"group": {"$exists": True}}, suffix="_given"),
            # The few whose hours are still to be invalidated.
            Index(keys=("changed",), partial={"changed": {"$type": "objectId"}}),
            unaudited,
        ),
    )
    yield (
        EXCHANGES,
        (
            Index(keys=("device_id", "at", "revoked_at"), unique=True),
            Index(keys=("new_device_id", "at")),
            Index(keys=("applied",), partial={"applied": False}),
            unaudited,
        ),
    )
    yield (
        WIRING_FINDINGS,
        (
            Index(keys=("device_id", "circuit", "name"), unique=True, partial={"current": True}, suffix="_current"),
            Index(keys=("device_id", "last_seen")),
            Index(keys=("state", "last_seen")),
            Index(keys=("last_seen",)),
            Index(keys=("closed_at",), ttl=CLOSED_FINDINGS_TTL),
            unaudited,
        ),
    )
    yield (
        ALARMS,
        (
            Index(keys=("rule_id", "subject", "begin"), unique=True),
            Index(keys=("rule_id", "subject"), unique=True, partial={"open": True}, suffix="_of_open"),
            Index(keys=("open",), partial={"open": True}),
            Index(keys=("round",)),
            Index(keys=("untold", "updated_at"), partial={"untold": True}),
            Index(keys=("state", "begin")),
            Index(keys=("device_id", "begin")),
            Index(keys=("begin",)),
            Index(keys=("cancelled_at",), ttl=CANCELLED_ALARMS_TTL),
            unaudited,
        ),
    )
    yield ALARM_PROGRESS, (Index(keys=("rule_id",)),)
    # The second index: those that depend on what a run writes, which are those of late or of an open end, as a rule.
    yield ADJUSTMENTS, (Index(keys=("type", "stale")), Index(keys=("type", "needs_end")))
    # The second index: which counters have a day, for totals, and for what has to be cleared or computed again.
    by_day = Index(keys=("type", "day", "device_id", "field"))
    yield INTERVALS, (Index(keys=("type", "device_id", "field", "day"), unique=True), by_day)
    yield ENERGY_DAYS, (Index(keys=("type", "device_id", "field", "month"), unique=True),)


def ensure_indexes(
    db: Database[Document], datatypes: Iterable[DataType], settings: Settings, *, prefix: str = ""
) -> list[str]:
    """Make the collections and indexes that are missing and change TTLs that differ, in place. Returns a line for each
    change of an index. prefix: before the name of each collection, of those that hold data only.

    Safe to run again and from several processes at once.
    """
    changes = []
    there = set(db.list_collection_names())
    for name, indexes in layout(datatypes, settings):
        if prefix and name in NOT_DATA:
            continue
        collection = prefix + name
        if collection not in there:
            make_compressed(db, collection)
        existing = {info["name"]: info for info in db[collection].list_indexes()}
        for index in indexes:
            ttl = FOREVER if index.ttl == 0 else index.ttl
            found = existing.get(index.name)
            if found is None:
                _create(db, collection, index, ttl)
                changes.append(f"{collection}: index {index.name} made")
            elif ttl is not None and found.get("expireAfterSeconds") != ttl:
                db.command("collMod", collection, index={"name": index.name, "expireAfterSeconds": ttl})
                changes.append(f"{collection}: kept for {'ever' if ttl == FOREVER else f'{ttl} s'}")
        for outgrown in OUTGROWN.get(name, ()):
            if outgrown in existing:
                changes += _drop(db, collection, outgrown)
    return changes


def _drop(db: Database[Document], collection: str, name: str) -> list[str]:
    try:
        db[collection].drop_index(name)
    except OperationFailure as error:
        if error.code != INDEX_NOT_FOUND:  # another process was quicker
            raise
        return []
    return [f"{collection}: index {name} dropped"]


def _create(db: Database[Document], collection: str, index: Index, ttl: int | None) -> None:
    options: Document = {"name": index.name}
    if index.unique:
        options["unique"] = True
    if ttl is not None:
        options["expireAfterSeconds"] = ttl
    if index.partial:
        options["partialFilterExpression"] = index.partial
    db[collection].create_index([(key, ASCENDING) for key in index.keys], **options)
