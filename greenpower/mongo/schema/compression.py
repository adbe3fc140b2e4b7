"""Compression: collections are stored in blocks of zstd, which are smaller than with MongoDB's default, snappy.

A collection gets its compression when it is made, and keeps it until its data is copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from greenpower.mongo.client import Document

ZSTD = "zstd"
STORAGE = {"wiredTiger": {"configString": f"block_compressor={ZSTD}"}}
NAMESPACE_EXISTS = 48


def make_compressed(db: Database[Document], name: str) -> bool:
    """Make a collection unless it exists. Several processes may try at once. Returns whether this one made it."""
    try:
        db.create_collection(name, storageEngine=STORAGE)
    except CollectionInvalid:
        return False
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
        return False
    return True


def otherwise_compressed(db: Database[Document], names: Iterable[str]) -> list[tuple[str, str]]:
    """Those of the collections that have another compression: (name, compressor). Raises PyMongoError."""
    found = []
    for name in names:
        stats = db.command("collStats", name)
        # On a router the shards answer; all of them are alike.
        stored = next(iter(stats.get("shards", {}).values()), stats).get("wiredTiger", {}).get("creationString", "")
        compressor = re.search(r"block_compressor=(\w*)", stored)
        if compressor is not None and compressor[1] != ZSTD:
            found.append((name, compressor[1] or "none"))
    return found
