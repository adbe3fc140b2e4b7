"""Whether a push may be made: its claim, its key, and how much was sent with that key or tried from that address.

What belongs here: the decision, and the keys that were looked up a moment ago. What does not: making and revoking keys
(`greenpower.api.accounts.push_keys`).
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pymongo
from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from greenpower.datatype import DataType, Http
from greenpower.ingest.sources.http.allowance import Allowances
from greenpower.ingest.sources.http.request import PushHead, PushRefusedError
from greenpower.mongo.client import Document
from greenpower.mongo.devices.push_keys import (
    USE_NOTED_EVERY,
    PushKey,
    find_push_key,
    note_push_key_use,
    split_push_key,
)

# A key that was looked up is good for so long: a revoked one is refused a second later at most.
KEY_KNOWN_SECONDS = 1.0
MAX_KNOWN_KEYS = 10_000
KEY_LOOK_UP_SECONDS = 5.0
# Wrong keys from one address; further ones are not looked up.
MAX_WRONG_KEYS_PER_MINUTE = 60
MONGO_RETRY_SECONDS = 5
# Open connections whose last push was made with one key: it must not fill the places of all.
MAX_CONNECTIONS_PER_KEY = 200
CONNECTIONS_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSender:
    """Who pushes, and for which claim."""

    key: PushKey
    datatype: DataType
    claim: Http

    @property
    def device(self) -> str | None:
        """The device of frames that name none."""
        return self.key.devices[0] if len(self.key.devices) == 1 else self.claim.device

    @property
    def allowed(self) -> tuple[str, ...] | None:
        """The devices that frames may be of; None for all."""
        return self.key.devices or None


class Access:
    """Decides on pushes. One per ingest process."""

    def __init__(
        self,
        pushes: Mapping[str, tuple[DataType, Http]],
        collection: AsyncCollection[Document],
        frames_per_minute: int,
    ) -> None:
        self._pushes = pushes
        self._collection = collection
        self._known: OrderedDict[ObjectId, tuple[PushKey, float]] = OrderedDict()
        self._used: dict[ObjectId, datetime] = {}
        self._connections: Counter[ObjectId] = Counter()
        self.frames = Allowances(frames_per_minute)
        self.wrong_keys = Allowances(MAX_WRONG_KEYS_PER_MINUTE)

    async def check(self, head: PushHead, address: str) -> PushSender:
        """Who makes a push. Raises PushRefusedError."""
        if not head.key:
            raise PushRefusedError(401, "This needs a key, as `Authorization: Bearer <key>`, `X-API-Key` or `?key=`.")
        if seconds := self.wrong_keys.wait(address):
            raise PushRefusedError(429, "Too many wrong keys were tried from this address.", retry_after=seconds)
        key = await self._find(head.key)
        if key is None:
            self.wrong_keys.take(address)
            raise PushRefusedError(401, "The key is wrong, expired or revoked.")
        found = self._pushes.get(head.claim)
        if found is None:
            raise PushRefusedError(404, f"No data type takes frames that are pushed to {head.claim!r}.")
        if key.claims and head.claim not in key.claims:
            raise PushRefusedError(403, f"The key is not for {head.claim!r}.")
        if seconds := self.frames.wait(key.id):
            raise PushRefusedError(429, "Too many frames were sent with this key.", retry_after=seconds)
        return PushSender(key=key, datatype=found[0], claim=found[1])

    def connect(self, key_id: ObjectId) -> None:
        """A connection begins to use a key. Raises PushRefusedError where it has too many."""
        if self._connections[key_id] >= MAX_CONNECTIONS_PER_KEY:
            message = "Too many connections use this key."
            raise PushRefusedError(429, message, retry_after=CONNECTIONS_RETRY_SECONDS)
        self._connections[key_id] += 1

    def disconnect(self, key_id: ObjectId) -> None:
        """A connection uses a key no more."""
        self._connections[key_id] -= 1
        if not self._connections[key_id]:
            del self._connections[key_id]

    async def _find(self, text: str) -> PushKey | None:
        """The key of a text, if it may be used now."""
        parts = split_push_key(text)
        if parts is None:
            return None
        now = datetime.now(UTC)
        try:
            with pymongo.timeout(KEY_LOOK_UP_SECONDS):
                key = await self._look_up(parts[0])
        except PyMongoError:
            message = "The database cannot be reached. Nothing was taken."
            raise PushRefusedError(503, message, retry_after=MONGO_RETRY_SECONDS) from None
        if key is None or not key.matches(parts[1]) or not key.is_good(now):
            return None
        await self._note_use(key, now)
        return key

    async def _look_up(self, key_id: ObjectId) -> PushKey | None:
        found = self._known.get(key_id)
        if found is not None and time.monotonic() - found[1] < KEY_KNOWN_SECONDS:
            return found[0]
        key = await find_push_key(self._collection, key_id)
        if key is None:
            self._known.pop(key_id, None)
        else:
            self._known[key_id] = key, time.monotonic()
            if len(self._known) > MAX_KNOWN_KEYS:
                old, _ = self._known.popitem(last=False)
                self._used.pop(old, None)
        return key

    async def _note_use(self, key: PushKey, now: datetime) -> None:
        """Keep when a key was last used, to the minute. Not worth refusing a push that it cannot be kept."""
        before = self._used.get(key.id, key.last_used_at)
        if before is not None and now - before < USE_NOTED_EVERY:
            return
        self._used[key.id] = now
        with suppress(PyMongoError), pymongo.timeout(KEY_LOOK_UP_SECONDS):
            await note_push_key_use(self._collection, key.id, now)
