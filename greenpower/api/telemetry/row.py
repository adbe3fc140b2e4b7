"""Rows, which are readings or buckets: what is read of their documents, and how callers see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from greenpower.measure.counter.state import energy
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.tier_view import TierView

Present = Callable[[Document], Document]
READING_KEYS = {"topic": 1, "device_id": 1, "timestamp": 1}
BUCKET_KEYS = {"device_id": 1, "timestamp": 1, "final": 1}


def row_projection(tier_view: TierView, names: Sequence[str] = (), with_stats: bool = False) -> dict[str, Any]:
    """What to read of the documents of a tier view. names: the requested fields, empty for all."""
    if tier_view.window is None:
        return READING_KEYS | field_projection(names)
    if with_stats:
        return {**BUCKET_KEYS, "coverage": 1, **field_projection(names, "payload", "stats")}
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

    def present(document: Document) -> Document:
        payload, stats = document["payload"], document.get("stats", {})
        if wanted:
            payload = {name: value for name, value in payload.items() if name in wanted}
            stats = {name: value for name, value in stats.items() if name in wanted}
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
            row["stats"] = {name: statistics(state) for name, state in stats.items()}
            row["coverage"] = document["coverage"]
        return row

    return present


def present_reading(document: Document) -> Document:
    """{"id", "topic", "device_id", "timestamp", "payload"}."""
    return {
        "id": str(document["_id"]),
        "topic": document.get("topic"),
        "device_id": document["device_id"],
        "timestamp": document["timestamp"],
        "payload": document.get("payload", {}),
    }


def statistics(state: dict[str, Any]) -> Document:
    """A stored state, for callers. Gauge: n, min, max. Counter: n, first, last, energy. Angle: n. State: n, last."""
    if "correction" in state:
        return {"n": state["n"], "first": state["first"], "last": state["last"], "energy": energy(state)}
    return {name: state[name] for name in ("n", "min", "max", "last") if name in state}
