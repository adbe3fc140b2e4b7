"""What a push is answered with: how many frames became what, and which were rejected and why. Pure.

    {"frames": 3, "stored": 2, "duplicate": 0, "noted": 0, "rejected": 1,
     "rejections": [{"line": 2, "reason": "not-json", "detail": "…"}]}

What does not belong here: when it may be given (`connection`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from greenpower.ingest.arrival import Arrival
from greenpower.mongo.events.store import Outcome

MAX_REJECTIONS_SHOWN = 100


def push_answer(arrivals: Sequence[Arrival]) -> tuple[int, dict[str, Any]]:
    """Status and body, once all frames are stored. 422 where no frame was accepted: sending them again is no use."""
    counts = Counter(arrival.outcome for arrival in arrivals)
    rejected = [(line, item) for line, item in enumerate(arrivals, 1) if item.outcome == Outcome.REJECTED]
    shown: dict[str, Any] = {"frames": len(arrivals), **{outcome.value: counts[outcome] for outcome in Outcome}}
    shown["rejections"] = [
        {"line": line, "reason": item.reason, "detail": item.detail} for line, item in rejected[:MAX_REJECTIONS_SHOWN]
    ]
    if len(rejected) < len(arrivals):
        return 200, shown
    return 422, {**problem_document(422, "No frame was accepted; see `rejections`."), **shown}


def problem_document(status: int, message: str) -> dict[str, Any]:
    """The body of an error, as the API has it."""
    return {"code": status, "status": HTTPStatus(status).phrase, "message": message, "errors": {}}
