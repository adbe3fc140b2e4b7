"""Rows, which are readings or buckets: what is read of their documents, and how callers see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from greenpower.datatype import Kind
from greenpower.measure.bucket import statistics_of
from greenpower.measure.enumeration import enumeration_statistics
from greenpower.measure.kinds import STATES_OF, has_energy, state_energy
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.tier_view import TierView

Present = Callable[[Document], Document]
READING_KEYS = {"topic": 1, "device_id": 1, "timestamp": 1}
BUCKET_KEYS = {"device_id": 1, "timestamp": 1, "final": 1}
COVERAGE_KEYS = frozenset({"count", "first", "last", "seconds"})


def row_projection(tier_view: TierView, names: Sequence[str] = (), with_stats: bool = False) -> dict[str, Any]:
    """What to read of the documents of a tier view. names: the requested fields, empty for all."""
    if tier_view.window is None:
        return READING_KEYS | field_projection(names)
    if with_stats:
        return {**BUCKET_KEYS, "coverage": 1, "blocks": 1, **field_projection(names, "payload", "stats")}
    return BUCKET_KEYS | field_projection(names)


def field_projection(names: Sequence[str], *keys: str) -> dict[str, Any]:
    """The projection for some fields, or for all. keys: the parts of a document that have a value per field."""
    keys = keys or ("payload",)
    return {f"{key}.{name}": 1 for key in keys for name in names} if names else dict.fromkeys(keys, 1)


def presenter(tier_view: TierView, names: Sequence[str] = (), with_stats: bool = False) -> Present:
    """The function that makes rows of the documents of a tier view. names: the requested fields, empty for all."""
    if tier_view.window is None:
        return present_reading
    wanted = frozenset(names)
    window = timedelta(seconds=tier_view.window)

    def present(document: Document) -> Document:
        payload = document["payload"]
        # Stored ones were read with these fields alone; those that are made have all.
        if wanted and not payload.keys() <= wanted:
            payload = {name: value for name, value in payload.items() if name in wanted}
        identity = document.get("_id")
        row = {
            "id": None if identity is None else str(identity),
            "topic": None,
            "device_id": document["device_id"],
            "timestamp": document["timestamp"],
            "payload": payload,
            "final": document["final"],
        }
        if with_stats:
            stats = statistics(document, window)
            row["stats"] = {name: stats[name] for name in stats if not wanted or name in wanted}
            row["coverage"] = {key: value for key, value in document["coverage"].items() if key in COVERAGE_KEYS}
        return row

    return present


def present_reading(document: Document) -> Document:
    """{"id", "topic", "device_id", "timestamp", "payload", "times"?}."""
    row = {
        "id": str(document["_id"]),
        "topic": document.get("topic"),
        "device_id": document["device_id"],
        "timestamp": document["timestamp"],
        "payload": document.get("payload", {}),
    }
    if document.get("times"):
        row["times"] = document["times"]
    return row


def statistics(document: Document, window: timedelta) -> dict[str, Document]:
    """The statistics of a stored bucket for callers, by field. window: its length.

    Gauge: n, sum, min, max, mean (over the samples), seconds, first, first_at, last, last_at. Angle: the same without
    sum, min and max. Counter: n, first, last, energy. Delta: n, energy. State: n, last. Enumeration: n, first,
    first_at, last, last_at, changes, seconds by code, held. Gauges and angles of buckets of old versions have fewer.
    """
    found = statistics_of(document)
    for name, state in document.get("stats", {}).items():
        if name not in found:
            found[name] = _state_statistics(state, document, window)
    return found


def _state_statistics(state: dict[str, Any], bucket: Document, window: timedelta) -> Document:
    if has_energy(state):
        kept: Document = {name: state[name] for name in ("n", "first", "last") if name in state}
        return {**kept, "energy": state_energy(state)}
    if STATES_OF[Kind.ENUMERATION].key in state:
        begin = bucket["timestamp"]
        return enumeration_statistics(state, begin, begin + window, over=bucket["final"])
    return {name: state[name] for name in ("n", "last") if name in state}
