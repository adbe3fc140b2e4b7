"""One reading of two: what the archive holds and what MongoDB holds under the same device and time.

What belongs here: the rule, and walking both in one order. What does not: where either comes from.

The same `_id`: MongoDB's is as old or newer, and counts. Another `_id`: somebody stored the reading again after it had
been moved; as with packets of one reading, keys that are new are added, and the first value of a key stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from greenpower.archive.columns import plain_bytes
from greenpower.mongo.readings.clock_mark import join_marks

Document = dict[str, Any]
ReadingKey = tuple[bytes, datetime]


def key_of(document: Document) -> ReadingKey:
    """What readings are sorted by. Ids by their bytes, as MongoDB compares them."""
    return document["device_id"].encode(), document["timestamp"]


def merge_pair(archived: Document, held: Document) -> Document:
    """The reading that both are."""
    if archived["_id"] == held["_id"]:
        return held
    added = {name: value for name, value in held["payload"].items() if name not in archived["payload"]}
    complete = archived["complete"] or held["complete"]
    mark = join_marks(archived.get("clock"), held.get("clock"))
    if not added and complete == archived["complete"] and mark == archived.get("clock"):
        return archived
    updated = max(archived["updated_at"], held["updated_at"])
    payload = {**archived["payload"], **added}
    merged = {**archived, "updated_at": updated, "payload": payload, "complete": complete}
    merged.pop("clock", None)
    return merged if mark is None else {**merged, "clock": mark}


def adds_nothing(archived: Document, held: Document) -> bool:
    """Whether the archive has all of what MongoDB holds, bit for bit."""
    return plain_bytes(merge_pair(archived, held)) == plain_bytes(archived)


def join(
    archived: Iterable[Document], held: Iterable[Document], *, newest_first: bool = False
) -> Iterator[tuple[Document | None, Document | None]]:
    """Pairs of the same key; None where one side has none. Both are sorted in the same order."""
    first: Callable[[ReadingKey, ReadingKey], bool] = (lambda a, b: a > b) if newest_first else (lambda a, b: a < b)
    left, right = iter(archived), iter(held)
    one, two = next(left, None), next(right, None)
    while one is not None or two is not None:
        if one is None:
            yield None, two
            two = next(right, None)
        elif two is None:
            yield one, None
            one = next(left, None)
        else:
            key_one, key_two = key_of(one), key_of(two)
            if key_one == key_two:
                yield one, two
                one, two = next(left, None), next(right, None)
            elif first(key_one, key_two):
                yield one, None
                one = next(left, None)
            else:
                yield None, two
                two = next(right, None)


def joined(pairs: Iterable[tuple[Document | None, Document | None]]) -> Iterator[Document]:
    """Each reading once."""
    for archived, held in pairs:
        if archived is None:
            assert held is not None
            yield held
        else:
            yield archived if held is None else merge_pair(archived, held)
