"""Rows as callers see them: readings and buckets, with their statistics where these are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from greenpower.measure.counter.state import energy
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.tier_view import TierView

Present = Callable[[Document], Document]


def presenter(tier_view: TierView, names: Sequence[str] = (), with_stats: bool = False) -> Present:
    """What makes rows of a shelf's documents. names: of the fields that were asked for, empty for all."""
    if tier_view.window is None:
        return present_reading
    wanted = frozenset(names)

    def present(document: Document) -> Document:
        payload, stats = document["payload"], document.get("stats", {})
        if wanted:
            payload = {name: value for name, value in payload.items() if name in wanted}
            stats = {name: value for name, value in stats.items() if name in wanted}
        row = {
            "id": _text(document.get("_id")),
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
    """A stored state for a caller. Gauge: n, min, max. Counter: n, first, last, energy. Angle: n. State: n, last."""
    if "correction" in state:
        return {"n": state["n"], "first": state["first"], "last": state["last"], "energy": energy(state)}
    return {name: state[name] for name in ("n", "min", "max", "last") if name in state}


def _text(identity: Any) -> str | None:
    return None if identity is None else str(identity)
