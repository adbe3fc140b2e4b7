"""The `clock` of a reading: what is said of a time that no device told, and of values that no device sent.

What belongs here: the marks and how two of them join. What does not: which time a reading gets
(`greenpower.ingest.steps.timekeeper`).

A reading whose timestamp is the time of arrival is `arrival`. One that came from a file, or that got values from one,
is `imported`: there is no event of it, so a replay leaves it alone. Both can be true of one reading.
"""

from __future__ import annotations

from typing import Any

ARRIVAL = "arrival"
IMPORTED = "imported"
ARRIVAL_IMPORTED = "arrival+imported"
BY_ARRIVAL = frozenset({ARRIVAL, ARRIVAL_IMPORTED})
FROM_FILES = frozenset({IMPORTED, ARRIVAL_IMPORTED})

#: what becomes of a stored mark where a file adds values
ADDED_FROM_FILE: dict[str, Any] = {"$cond": [{"$in": ["$clock", sorted(BY_ARRIVAL)]}, ARRIVAL_IMPORTED, IMPORTED]}
#: where the device tells the time of a reading that had the time of arrival; without a mark there is none after it
TOLD_BY_DEVICE: dict[str, Any] = {
    "$switch": {
        "branches": [
            {"case": {"$eq": ["$clock", ARRIVAL]}, "then": "$$REMOVE"},
            {"case": {"$eq": ["$clock", ARRIVAL_IMPORTED]}, "then": IMPORTED},
        ],
        "default": "$clock",
    }
}


def make_mark(*, arrival: bool, imported: bool) -> str | None:
    """The mark for both facts; None for neither."""
    if imported:
        return ARRIVAL_IMPORTED if arrival else IMPORTED
    return ARRIVAL if arrival else None


def join_marks(one: str | None, other: str | None) -> str | None:
    """The mark of a reading that two documents are: the device told the time if it did so in one of them."""
    return make_mark(
        arrival=one in BY_ARRIVAL and other in BY_ARRIVAL, imported=one in FROM_FILES or other in FROM_FILES
    )
