"""MongoDB clients: how every process connects. The caller makes its client after any fork and closes it."""

from __future__ import annotations

from typing import Any

from pymongo import AsyncMongoClient, MongoClient

from greenpower.config import Settings

Document = dict[str, Any]

# Journaled on a majority: a write that was acknowledged survives a crash. On a single server that server is the
# majority.
DURABLE: dict[str, Any] = {"w": "majority", "journal": True}
SELECTION_MS = 5_000
# Longer than a disk usually stalls; short enough to notice a dead connection and repeat the write.
SOCKET_MS = 60_000


def _options(settings: Settings, overrides: dict[str, Any]) -> dict[str, Any]:
    return {
        "host": settings.need("MONGO_DB_URI"),
        "tz_aware": True,
        "serverSelectionTimeoutMS": SELECTION_MS,
        "connectTimeoutMS": SELECTION_MS,
        "socketTimeoutMS": SOCKET_MS,
        "appname": "greenpower",
        **DURABLE,
        **overrides,
    }


def sync_client(settings: Settings, **overrides: Any) -> MongoClient[Document]:
    """A blocking client. `overrides` are MongoClient options. Raises ConfigError where MONGO_DB_URI is not set."""
    return MongoClient(**_options(settings, overrides))


def async_client(settings: Settings, **overrides: Any) -> AsyncMongoClient[Document]:
    """A client for asyncio. `overrides` are AsyncMongoClient options. Raises ConfigError as `sync_client`."""
    return AsyncMongoClient(**_options(settings, overrides))
