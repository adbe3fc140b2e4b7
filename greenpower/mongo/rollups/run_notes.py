"""Run notes: how runs of tiers ended, of all device ranges or of some, for operators and for the runs that follow.

What belongs here: what is kept of a run in its tier's document. What does not: how far a tier is (`watermarks`).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges, keys_of, name_ranges
from greenpower.mongo.rollups.watermarks import change_progress, key


def note_run(
    collection: Collection[Document],
    type_name: str,
    prefix: str,
    now: datetime,
    *,
    error: str = "",
    left_alone: int = 0,
    ranges: Ranges = ALL_RANGES,
    round_id: str = "",
) -> None:
    """Keep on record that a run ended, and how. left_alone: windows that could not be computed from anything whole.

    ranges: of which device ranges it was. Where these are not all, the error of the tier tells those of the ranges.
    round_id: of the round that it belongs to. Raises PyMongoError.
    """
    changed: Document = {"ran_at": now}
    change: Document = {"$set": changed}
    if left_alone:
        change["$inc"] = {"left_alone": left_alone}
    if error:
        changed["error_at"] = now
    if ranges == ALL_RANGES:
        changed["error"] = error
        # All are where the tier is: nothing is apart any more.
        change["$unset"] = {"ranges": ""}
        change_progress(collection, type_name, prefix, change)
        return
    own = {"ran_at": now, "error": error, **({"round": round_id} if round_id else {})}
    changed |= {f"ranges.{digit}.{name}": value for digit in keys_of(ranges) for name, value in own.items()}
    change_progress(collection, type_name, prefix, change)
    _tell_errors(collection, type_name, prefix)


def note_failure(collection: Collection[Document], type_name: str, prefix: str, now: datetime, error: str) -> None:
    """Keep on record that a run was broken off, wherever its device ranges are. Raises PyMongoError."""
    change_progress(collection, type_name, prefix, {"$set": {"ran_at": now, "error": error, "error_at": now}})


def begin_round(collection: Collection[Document], type_name: str, prefix: str, round_id: str) -> None:
    """Begin a round, in which several workers share a tier and take each device range once. Raises PyMongoError."""
    change_progress(collection, type_name, prefix, {"$set": {"round": round_id}})


def _tell_errors(collection: Collection[Document], type_name: str, prefix: str) -> None:
    """Write the errors of device ranges down as that of their tier."""
    document = collection.find_one({"_id": key(type_name, prefix)}, {"ranges": 1, "error": 1}) or {}
    by_error: defaultdict[str, set[int]] = defaultdict(set)
    for digit, apart in document.get("ranges", {}).items():
        if apart.get("error"):
            by_error[apart["error"]].add(int(digit, 16))
    text = "; ".join(
        f"device ranges {name_ranges(frozenset(numbers))}: {error}" for error, numbers in sorted(by_error.items())
    )
    if document.get("error") != text:
        # Where another run has noted something meanwhile, that one tells all of them.
        same = {"_id": key(type_name, prefix), "ranges": document.get("ranges")}
        collection.update_one(same, {"$set": {"error": text}})
