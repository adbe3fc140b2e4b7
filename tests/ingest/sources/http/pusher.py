"""Keys for tests, and a sender that pushes frames with one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from pymongo.database import Database

from greenpower.mongo.devices.push_keys import new_push_key
from greenpower.mongo.schema.layout import PUSH_KEYS

Document = dict[str, Any]
NDJSON = "application/x-ndjson"


def make_key(
    db: Database[Document], claims: Sequence[str] = (), devices: Sequence[str] = (), expires_at: datetime | None = None
) -> str:
    """The text of a new key."""
    document, key = new_push_key(
        name="test", claims=[*claims], devices=[*devices], made_by="test", now=datetime.now(UTC), expires_at=expires_at
    )
    db[PUSH_KEYS].insert_one(document)
    return key


class Pusher:
    """A sender at a port, with a key, while the context is open."""

    def __init__(self, port: int, key: str = "") -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60)

    def __enter__(self) -> Pusher:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def push(self, claim: str, body: object, **headers: str) -> httpx.Response:
        """Push one frame: bytes as they are, else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(f"/api/ingest/{claim}/", content=content, headers=headers)

    def lines(self, claim: str, frames: Iterable[object], **headers: str) -> httpx.Response:
        """Push frames, a line each; texts as they are."""
        text = "\n".join(frame if isinstance(frame, str) else json.dumps(frame) for frame in frames)
        return self.push(claim, text.encode(), **{"Content-Type": NDJSON, **headers})
