"""A line in the log for each frame with which something is wrong, under the id that its event has.

What belongs here: which frames are worth a line, what is in it, and how many lines at most. A frame that is stored
whole has none. Where a sender repeats its fault, a few lines say so and how many more there were; with LOG_LEVEL=DEBUG
each has its own, and a frame that waits for its device has one when it begins to and one when it is stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from bson import ObjectId

from greenpower.ingest.arrival import Arrival
from greenpower.ingest.steps.pairing import AWAITING
from greenpower.mongo.client import Document
from greenpower.mongo.events.store import Outcome

log = logging.getLogger(__name__)

# So many lines at once, and one more in so many seconds.
BURST = 10
EVERY = 10.0
SHOWN = 80
MOST = 8
# By design, and nothing is wrong with the frame.
ORDINARY = frozenset({Outcome.DUPLICATE, Outcome.NOTED})


def fields(event_id: ObjectId, **others: Any) -> dict[str, dict[str, Any]]:
    """For a log call's `extra`: what a program finds in the line beside its text."""
    return {"fields": {"event": str(event_id), **{name: value for name, value in others.items() if value}}}


class ProblemLog:
    """Says what is wrong with frames. now: seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lines = float(BURST)
        self._at = now()
        self._unsaid = 0

    def tell(self, events: Iterable[Document]) -> None:
        """Events that are stored."""
        for event in events:
            # Nearly all have none of these.
            if "reason" in event or "left_out" in event or "conflicts" in event:
                self._tell(event)

    def joined(self, arrivals: Iterable[Arrival]) -> None:
        """Frames that waited for their device, and are stored now."""
        for arrival in arrivals:
            if arrival.event_id is not None and arrival.parts:
                device = arrival.parts[0].device_id
                extra = fields(arrival.event_id, device=device)
                log.debug("a frame on %a that waited belongs to %a", arrival.topic[:SHOWN], device, extra=extra)

    def _tell(self, event: Document) -> None:
        reason, outcome = event.get("reason", ""), event["outcome"]
        waits = reason == AWAITING
        if outcome in ORDINARY and not waits and "conflicts" not in event:
            return
        level = logging.DEBUG if waits or not self._has_room() else logging.INFO
        if not log.isEnabledFor(level):
            return
        wrong = [reason] if reason else []
        wrong += [f"{name} left out: {why}" for name, why in event.get("left_out", {}).items()]
        wrong += [f"{name} had another value" for name in event.get("conflicts", ())]
        if level == logging.INFO and self._unsaid:
            wrong.append(f"{self._unsaid} more frames before it")
            self._unsaid = 0
        extra = fields(
            event["_id"],
            type=event["type"],
            device=event.get("device_id"),
            topic=event["topic"],
            outcome=outcome,
            reason=reason,
        )
        text = ", ".join(wrong) if len(wrong) < MOST else f"{', '.join(wrong[:MOST])} and so on"
        log.log(level, "a frame on %a is %s: %s", event["topic"][:SHOWN], outcome, text, extra=extra)

    def _has_room(self) -> bool:
        """Whether another line may be written."""
        now = self._now()
        self._lines = min(BURST, self._lines + (now - self._at) / EVERY)
        self._at = now
        if self._lines < 1:
            self._unsaid += 1
            return False
        self._lines -= 1
        return True
