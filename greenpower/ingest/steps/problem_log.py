"""A line in the log for each frame with which something is wrong, under the id that its event has.

What belongs here: which frames are worth a line, what is in it, and how many lines at most. A frame that is stored
whole has none. Where a sender repeats its fault, a few lines say so and how many more there were; with LOG_LEVEL=DEBUG
each has its own, and a frame that waits for its device has one when it begins to and one when it is stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from bson import ObjectId

from greenpower.ingest.steps.pairing import AWAITING
from greenpower.mongo.events.store import Outcome
from greenpower.mongo.readings.batch import JoinedFragment, StoredBatch, StoredFrame

log = logging.getLogger(__name__)

# So many lines at once, and one more in so many seconds.
MAX_LINES_AT_ONCE = 10
SECONDS_PER_LINE = 10.0
MAX_TOPIC_CHARACTERS = 80
MAX_REASONS_PER_LINE = 8
# By design, and nothing is wrong with the frame.
ORDINARY = frozenset({Outcome.DUPLICATE, Outcome.NOTED})
# Noted, and worth a line all the same.
TOLD = frozenset({"replaced-by-other-address"})


def fields(event_id: ObjectId, **others: Any) -> dict[str, dict[str, Any]]:
    """For a log call's `extra`: what a program finds in the line beside its text."""
    return {"fields": {"event": str(event_id), **{name: value for name, value in others.items() if value}}}


class ProblemLog:
    """Says what is wrong with frames. now: seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lines = float(MAX_LINES_AT_ONCE)
        self._at = now()
        self._unsaid = 0

    def tell(self, batch: StoredBatch) -> None:
        """A batch that is stored, and so are its events."""
        for frame in batch.frames:
            # Nearly all have none of these.
            if frame.reason or frame.left_out or frame.conflicts:
                self._tell(frame)
        for joined in batch.joined:
            self._joined(joined)

    def _joined(self, joined: JoinedFragment) -> None:
        """A fragment that waited for its device, and has it now."""
        if joined.event_id is None:
            return
        fragment = joined.fragment
        wrong = _conflicts(fragment.conflicts)
        if fragment.fault:
            wrong.append(fragment.fault)
        level = logging.INFO if wrong and self._has_room() else logging.DEBUG
        if log.isEnabledFor(level):
            extra = fields(joined.event_id, device=fragment.device_id)
            text = "".join(f", {item}" for item in wrong)
            log.log(
                level,
                "a frame on %a that waited belongs to %a%s",
                joined.topic[:MAX_TOPIC_CHARACTERS],
                fragment.device_id,
                text,
                extra=extra,
            )

    def _tell(self, frame: StoredFrame) -> None:
        reason, outcome = frame.reason, frame.outcome
        waits = reason == AWAITING
        if outcome in ORDINARY and not waits and not frame.conflicts and reason not in TOLD:
            return
        level = logging.DEBUG if waits or not self._has_room() else logging.INFO
        if not log.isEnabledFor(level):
            return
        wrong = [reason] if reason else []
        if reason in TOLD and frame.detail:
            wrong.append(frame.detail)
        wrong += [f"{name} left out: {why}" for name, why in (frame.left_out or {}).items()]
        wrong += _conflicts(frame.conflicts)
        unsaid = 0
        if level == logging.INFO and self._unsaid:
            unsaid, self._unsaid = self._unsaid, 0
            wrong.append(f"{unsaid} more frames before it")
        extra = fields(
            frame.event_id,
            type=frame.type_name,
            device=frame.device_id,
            topic=frame.topic,
            outcome=outcome.value,
            reason=reason,
            left_out=list(frame.left_out or ())[:MAX_REASONS_PER_LINE],
            conflicts=list(frame.conflicts)[:MAX_REASONS_PER_LINE],
            more=unsaid,
        )
        text = ", ".join(wrong)
        if len(wrong) >= MAX_REASONS_PER_LINE:
            text = f"{', '.join(wrong[:MAX_REASONS_PER_LINE])} and so on"
        log.log(level, "a frame on %a is %s: %s", frame.topic[:MAX_TOPIC_CHARACTERS], outcome.value, text, extra=extra)

    def _has_room(self) -> bool:
        """Whether another line may be written."""
        now = self._now()
        self._lines = min(MAX_LINES_AT_ONCE, self._lines + (now - self._at) / SECONDS_PER_LINE)
        self._at = now
        if self._lines < 1:
            self._unsaid += 1
            return False
        self._lines -= 1
        return True


def _conflicts(names: Sequence[str]) -> list[str]:
    return [f"{name} had another value" for name in names]
