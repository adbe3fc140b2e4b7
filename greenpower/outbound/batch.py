"""Batches: rows as they are sent, with an id by which a receiver knows one that comes again.

What belongs here: JSON and ids. What does not: reading rows (`feeds`), signing and sending (`webhook`, `mqtt`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from greenpower.mongo.client import Document
from greenpower.mongo.outbound.positions import Gap
from greenpower.sql import OutboundContent

JSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundBatch:
    """Rows of one feed in order. type, resolution: None where the content has none. gap: what may be missing before
    them. is_test: nothing is in it."""

    target: str
    content: OutboundContent
    type: str | None
    resolution: str | None
    rows: Sequence[Document]
    gap: Gap | None = None
    is_test: bool = False

    def body(self) -> bytes:
        """As JSON. The same rows give the same bytes."""
        gap = None if self.gap is None else {"from": self.gap.begin, "until": self.gap.end}
        return encode(
            {
                "target": self.target,
                "content": self.content.value,
                "type": self.type,
                "resolution": self.resolution,
                "test": self.is_test,
                "gap": gap,
                "rows": list(self.rows),
            }
        )


def delivery_id(body: bytes) -> str:
    """The id of a delivery: the same for the same content, so that one that comes again is known."""
    return hashlib.sha256(body).hexdigest()[:32]


def encode(value: Any) -> bytes:
    """JSON with times as the API writes them."""
    return orjson.dumps(value, default=_default, option=JSON_OPTIONS)


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        plain = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return plain.isoformat("T", "milliseconds") + "Z"
    if isinstance(value, ObjectId):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
