"""Samples that come in several messages of which only one names the device.

A part without a device waits in MongoDB until another part of its topic and stamp names one, whichever process gets
that; its frame is noted as `awaiting-id`. A part that only names the device is noted as `names-device`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.ingest.arrival import Arrival, Found
from greenpower.mongo.client import Document
from greenpower.mongo.failure import until_written
from greenpower.mongo.ids import new_id
from greenpower.mongo.readings import fragments as parts
from greenpower.mongo.readings.fragments import PartKey

AWAITING = "awaiting-id"
NAMES = "names-device"
AGAIN = "parts"  # the source of a frame that waited


class Pairing:
    """Finds the devices of parts. One an ingest process; it keeps nothing in memory."""

    def __init__(self, collection: AsyncCollection[Document], on_retry: Callable[[Exception], None]) -> None:
        self.collection = collection
        self._on_retry = on_retry

    async def pair(self, batch: list[Found]) -> tuple[list[Found], list[ObjectId]]:
        """The batch with every part whose device is known, those that waited before included; and the ids of the
        latter, to be forgotten once they are stored.
        """
        known: list[Found] = []
        nameless: list[Found] = []
        named: dict[PartKey, str] = {}
        for found in batch:
            in_parts = found.arrival.datatype is not None and found.arrival.datatype.id_in_one_part
            if found.device_id is None:
                if in_parts and found.stamp is not None:
                    nameless.append(found)
                else:
                    found.arrival.rejected = "no-id"
                continue
            if in_parts and found.stamp is not None:
                named[_key(found)] = found.device_id
            if found.payload:
                known.append(found)
            else:
                found.arrival.noted = NAMES
        if not named and not nameless:
            return known, []
        return await until_written(lambda: self._pair(known, nameless, named), on_retry=self._on_retry)

    async def _pair(
        self, batch: list[Found], nameless: list[Found], named: dict[PartKey, str]
    ) -> tuple[list[Found], list[ObjectId]]:
        found_again: list[Found] = []
        ids: list[ObjectId] = []
        if named:
            await parts.name_devices(self.collection, named, datetime.now(UTC))
            by_text = {key.text: (key, device) for key, device in named.items()}
            for document in await parts.parts_of(self.collection, named):
                key, device = by_text[document["key"]]
                found_again.append(_again(document, key, device))
                ids.append(document["_id"])
        if nameless:
            unknown = [found for found in nameless if _key(found) not in named]
            kept = [_document(found) for found in unknown]
            await parts.keep_parts(self.collection, kept)
            known = await parts.devices_of(self.collection, {_key(found) for found in unknown})
            ids.extend(document["_id"] for document in kept if document["key"] in known)
            for found in nameless:
                found.device_id = named.get(_key(found)) or known.get(_key(found).text)
                if found.device_id is None:
                    found.arrival.noted = AWAITING
                    if found.stamp is not None and found.stamp not in found.arrival.times:
                        found.arrival.times += (found.stamp,)
            found_again.extend(found for found in nameless if found.device_id is not None)
        return batch + found_again, ids

    async def forget(self, ids: list[ObjectId]) -> None:
        """Let go of parts that are stored."""
        if ids:
            await until_written(lambda: parts.forget_parts(self.collection, ids), on_retry=self._on_retry)


def _key(found: Found) -> PartKey:
    assert found.stamp is not None
    assert found.arrival.datatype is not None
    return PartKey(found.arrival.datatype, found.arrival.topic, found.stamp)


def _document(found: Found) -> Document:
    return {
        "_id": new_id(),
        "event": found.arrival.id,
        "key": _key(found).text,
        "payload": found.payload,
        "complete": found.complete,
        "received_at": found.arrival.received_at,
    }


def _again(document: Document, key: PartKey, device: str) -> Found:
    """A part that waited, with its device; its own frame has its event already."""
    arrival = Arrival(
        topic=key.topic,
        payload=b"",
        received_at=document["received_at"],
        source=AGAIN,
        datatype=key.datatype,
        event_id=document.get("event"),
    )
    return Found(arrival, device, key.stamp, document["payload"], document["complete"])
