"""MongoDB clients: how every process connects. The caller makes its client after any fork and closes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import ConfigurationError

from greenpower.config import ConfigError, Settings

Document = dict[str, Any]

# Journaled on a majority: a write that was acknowledged survives a crash. On a single server that server is the
# majority.
DURABLE: dict[str, Any] = {"w": "majority", "journal": True}
SELECTION_MS = 5_000
# Longer than a disk usually stalls; short enough to notice a dead connection and repeat the write.
SOCKET_MS = 60_000


def _options(settings: Settings, overrides: dict[str, Any]) -> dict[str, Any]:
    # With the database, so that a restore can tell who is connected to its own.
    appname = f"{overrides.get('appname', 'greenpower')}/{settings.mongo_db_name}"
    return {
        "host": settings.need("MONGO_DB_URI"),
        "tz_aware": True,
        "serverSelectionTimeoutMS": SELECTION_MS,
        "connectTimeoutMS": SELECTION_MS,
        "socketTimeoutMS": SOCKET_MS,
        **DURABLE,
        **overrides,
        "appname": appname,
    }


@contextmanager
def _checked_address() -> Iterator[None]:
    """Within it a client is made. An address that cannot be read may hold a password, so its text is not shown."""
    try:
        yield
    except (ConfigurationError, ValueError):
        raise ConfigError(
            "MONGO_DB_URI is not the address of a MongoDB: mongodb://USER:PASSWORD@HOST:PORT/…, "
            "with : / ? # @ and % in the user name and the password as %XX"
        ) from None


def sync_client(settings: Settings, **overrides: Any) -> MongoClient[Document]:
    """A blocking client. `overrides` are MongoClient options. Raises ConfigError where MONGO_DB_URI is unusable."""
    options = _options(settings, overrides)
    with _checked_address():
        return MongoClient(**options)


def async_client(settings: Settings, **overrides: Any) -> AsyncMongoClient[Document]:
    """A client for asyncio. `overrides` are AsyncMongoClient options. Raises ConfigError as `sync_client`."""
    options = _options(settings, overrides)
    with _checked_address():
        return AsyncMongoClient(**options)
