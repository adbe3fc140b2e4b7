"""Keys with which devices, and services that speak for them, push frames over HTTP.

A key is `gpush_<id>_<secret>`. Only a hash of the secret is kept; it has 256 random bits, so a fast hash does: there is
nothing to guess. What belongs here: making, finding and revoking keys. What does not: whether a request may be made
with one (`greenpower.ingest.sources.http.access`), who may make one (`greenpower.api.accounts.push_keys`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_hex

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.unaudited import UnauditedEntry, pushed

PUSH_KEY = re.compile(r"gpush_([0-9a-f]{24})_([0-9a-f]{64})")
MAX_KEY_NAME_LENGTH = 120
# Of a key that is for some claims or devices only.
MAX_KEY_CLAIMS = 50
MAX_KEY_DEVICES = 200
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushKey:
    """A key as ingest needs it. claims, devices: empty for all."""

    id: ObjectId
    secret_hash: str
    claims: frozenset[str]
    devices: tuple[str, ...]
    expires_at: datetime | None
    revoked: bool
    last_used_at: datetime | None

    def matches(self, secret: str) -> bool:
        """Whether this is its secret."""
        return compare_digest(self.secret_hash, _hash(secret))

    def is_good(self, now: datetime) -> bool:
        """Whether it may be used."""
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


def new_push_key(
    *,
    name: str,
    claims: list[str],
    devices: list[str],
    made_by: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[Document, str]:
    """A key to be stored, and its text, which is shown once and not stored. claims, devices: empty for all."""
    key_id, secret = ObjectId(), token_hex(32)
    document: Document = {
        "_id": key_id,
        "name": name,
        "secret_hash": _hash(secret),
        "claims": sorted({*claims}),
        "devices": sorted({*devices}),
        "made_by": made_by,
        "made_at": now,
    }
    if expires_at is not None:
        document["expires_at"] = expires_at
    return document, f"gpush_{key_id}_{secret}"


def split_push_key(text: str) -> tuple[ObjectId, str] | None:
    """Id and secret of a key's text; None if it is not a key."""
    found = PUSH_KEY.fullmatch(text)
    return None if found is None else (ObjectId(found[1]), found[2])


async def find_push_key(collection: AsyncCollection[Document], key_id: ObjectId) -> PushKey | None:
    """The key with an id, good or not. Raises PyMongoError."""
    document = await collection.find_one({"_id": key_id})
    if document is None:
        return None
    return PushKey(
        id=document["_id"],
        secret_hash=document["secret_hash"],
        claims=frozenset(document["claims"]),
        devices=tuple(document["devices"]),
        expires_at=document.get("expires_at"),
        revoked="revoked_at" in document,
        last_used_at=document.get("last_used_at"),
    )


async def note_push_key_use(collection: AsyncCollection[Document], key_id: ObjectId, now: datetime) -> None:
    """Keep when a key was last used. Raises PyMongoError."""
    await collection.update_one({"_id": key_id}, {"$max": {"last_used_at": now}})


def revoke_push_key(
    collection: Collection[Document], key_id: ObjectId, by: str, now: datetime, entry: UnauditedEntry | None = None
) -> bool:
    """Revoke a key. entry: of the audit, which it holds until that is written. Returns whether it was good until now.
    Raises PyMongoError."""
    change = pushed({"$set": {"revoked_at": now, "revoked_by": by}}, entry)
    return bool(collection.update_one({"_id": key_id, "revoked_at": {"$exists": False}}, change).modified_count)


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
