"""Which device ids there are: those that were heard, and those that have data, even if only an old bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.devices.seen import sightings
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.readings.federated import held_by_mongo
from greenpower.mongo.schema.layout import INTERVALS, SEEN


def known_devices(
    db: Database[Document], datatypes: Iterable[DataType], devices: Sequence[str], collections: Sequence[str] = ()
) -> set[str]:
    """Those of some device ids that were heard or have readings, buckets or energy of any of the types.

    collections: further ones with a `device_id` that count. Raises PyMongoError.
    """
    types = list(datatypes)
    wanted = sightings(db[SEEN], [(datatype.name, device) for datatype in types for device in devices])
    found = {device for _, device in wanted}
    with pymongo.timeout(QUERY_SECONDS):
        for collection, where in _places(db, types, collections):
            left = [device for device in devices if device not in found]
            if not left:
                break
            # Of each id one entry of an index is looked at, however many documents it has.
            held = held_by_mongo(collection)
            found.update(held.distinct("device_id", {**where, "device_id": {"$in": left}}))
    return found


def _places(
    db: Database[Document], types: Sequence[DataType], collections: Sequence[str]
) -> Iterator[tuple[Collection[Document], Document]]:
    """Where data of devices may be, the likeliest first."""
    for name in dict.fromkeys(datatype.collection for datatype in types):
        yield db[name], {}
    for datatype in types:
        yield db[INTERVALS], {"type": datatype.name}
    for name in dict.fromkeys(name for datatype in types for name in datatype.collections):
        yield db[name], {}
    for name in collections:
        yield db[name], {}
