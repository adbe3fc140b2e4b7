"""Births of devices whose frames have a session, in `device_sessions`: one `SessionsDocument` per device and type.

Several processes add to it: each reads the document, adds its births, and writes it unless another was quicker. What
belongs here: reading and writing. What does not: the order of births (`greenpower.datatype.session`), and which frames
are of which (`greenpower.ingest.steps.sessions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from greenpower.datatype.session import Birth, Session, read_session, with_birth
from greenpower.mongo.client import Document
from greenpower.mongo.devices.document import BirthDocument, SessionsDocument


class SessionKey(NamedTuple):
    """Whose births."""

    type_name: str
    device_id: str

    @property
    def text(self) -> str:
        """The `_id` of the document."""
        return f"{self.type_name}|{self.device_id}"


class KnownSessions(NamedTuple):
    """The births of a device, in order. revision: of its document, 0 where there is none."""

    revision: int
    births: tuple[Birth, ...]


class NewBirth(NamedTuple):
    """A birth to add. again: whether its sender says that it may have come before."""

    birth: Birth
    again: bool


NO_BIRTHS = KnownSessions(0, ())


async def read_revisions(collection: AsyncCollection[Document], keys: Iterable[SessionKey]) -> dict[SessionKey, int]:
    """The revisions of the documents that there are. Raises PyMongoError."""
    by_id = {key.text: key for key in keys}
    found = collection.find({"_id": {"$in": list(by_id)}}, {"revision": 1})
    return {by_id[document["_id"]]: document["revision"] async for document in found}


async def read_sessions(
    collection: AsyncCollection[Document], keys: Iterable[SessionKey]
) -> dict[SessionKey, KnownSessions]:
    """The births of devices that have some. Raises PyMongoError."""
    by_id = {key.text: key for key in keys}
    found = collection.find({"_id": {"$in": list(by_id)}})
    return {by_id[document["_id"]]: _known(cast(SessionsDocument, document)) async for document in found}


async def add_births(
    collection: AsyncCollection[Document], key: SessionKey, new: Sequence[NewBirth], known: KnownSessions
) -> KnownSessions:
    """Add births to those of a device, and return all. known: what is believed to be stored; if it is not, it is read.

    Raises PyMongoError; safe to repeat.
    """
    while True:
        births = all_births(known.births, new)
        if births is known.births:
            # Another write had them, which may not have been durable: one that changes nothing waits until it is.
            await collection.update_one({"_id": key.text}, {"$max": {"revision": known.revision}})
            return known
        document = _document(key, births, known.revision + 1)
        query = {"_id": key.text, "revision": known.revision}
        try:
            result = await collection.replace_one(query, cast(Document, document), upsert=known.revision == 0)
        except DuplicateKeyError:  # another process was first
            written = False
        else:
            written = result.matched_count > 0 or result.upserted_id is not None
        if written:
            return KnownSessions(known.revision + 1, births)
        known = (await read_sessions(collection, [key])).get(key, NO_BIRTHS)


def all_births(births: tuple[Birth, ...], new: Iterable[NewBirth]) -> tuple[Birth, ...]:
    """The births with new ones; the same object where these add nothing."""
    for one in new:
        births = with_birth(births, one.birth, again=one.again)
    return births


def _known(document: SessionsDocument) -> KnownSessions:
    births = []
    sessions: dict[int, Session] = {}
    for one in document["births"]:
        place = one["text"]
        text = document["texts"][place]
        if place not in sessions:
            sessions[place] = read_session(text)
        births.append(
            Birth(
                born=one["born"], arrived=one["arrived"], by_arrival=one["by_arrival"], text=text,
                session=sessions[place],
            )
        )  # fmt: skip
    return KnownSessions(document["revision"], tuple(births))


def _document(key: SessionKey, births: Iterable[Birth], revision: int) -> SessionsDocument:
    texts: dict[str, int] = {}
    kept: list[BirthDocument] = [
        {
            "born": birth.born,
            "arrived": birth.arrived,
            "by_arrival": birth.by_arrival,
            "text": texts.setdefault(birth.text, len(texts)),
        }
        for birth in births
    ]
    return {
        "_id": key.text,
        "type": key.type_name,
        "device_id": key.device_id,
        "revision": revision,
        "births": kept,
        "texts": [*texts],
        "updated_at": datetime.now(UTC),
    }
