"""One round through the targets: claim, read, send, save the position, back off.

What belongs here: order, promises and time. What does not: what is read (`feeds`), how it is sent (`webhook`, `mqtt`).

A position is saved after the receiver took the batch, and before the next one is read. So what is killed in between
comes again, nothing is left out, and each feed comes in its order. A target that fails ends its turn, is tried again
later and later, and comes after all others then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from greenpower.archive.errors import ArchiveFileError
from greenpower.mongo.client import Document
from greenpower.mongo.outbound.document import OutboundPositionDocument
from greenpower.mongo.outbound.positions import (
    FeedPosition,
    asked_tests,
    claim_target,
    gap_of,
    let_target_go,
    note_failure,
    note_test,
    position_of,
    read_positions,
    save_position,
)
from greenpower.outbound.batch import OutboundBatch
from greenpower.outbound.failure import DeliveryError
from greenpower.outbound.feeds import OutboundFeed, first_position
from greenpower.sql import OutboundContent, OutboundTarget

log = logging.getLogger(__name__)

FIRST_RETRY_AFTER, MAX_RETRY_AFTER = timedelta(seconds=5), timedelta(minutes=15)
TARGET_SECONDS = 15.0
# Longer than a worker may need for a target's turn: what it claimed is free then.
CLAIM_TIME = timedelta(seconds=90)


class OutboundSender(Protocol):
    """A way to a target."""

    def send(self, batch: OutboundBatch, now: datetime) -> None:
        """Deliver a batch; it returns when the receiver has taken all of it. Raises DeliveryError."""

    def close(self) -> None:
        """End what is open."""


@dataclass(slots=True, kw_only=True)
class OutboundTally:
    """What a run did. next_at: when the first target that failed is due again."""

    deliveries: int = 0
    rows: int = 0
    failures: int = 0
    tests: int = 0
    more: bool = False
    next_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class OutboundRun:
    """A round. feeds, sender: of a target. now: the time. until: up to when rows have settled. is_time: of seconds that
    a turn has taken; whether the run may go on with another batch."""

    positions: Collection[Document]
    feeds: Callable[[OutboundTarget], Iterable[OutboundFeed]]
    sender: Callable[[OutboundTarget], OutboundSender]
    now: Callable[[], datetime]
    until: Callable[[], datetime]
    clock: Callable[[], float]
    end: float
    done: OutboundTally = field(default_factory=OutboundTally)

    def run(self, targets: Iterable[OutboundTarget]) -> OutboundTally:
        """Serve targets: first those that are well, last those that have failed most. Raises the errors of the
        databases; a target that cannot be served costs no other one."""
        there = {target.id: target for target in targets}
        self._test(there)
        enabled = [target for target in there.values() if target.enabled]
        known = read_positions(self.positions, [target.id for target in enabled])
        for target in sorted(enabled, key=lambda one: (_failures(known, one.id), _tried(known, one.id))):
            next_try = known[target.id].get("next_try") if target.id in known else None
            if next_try is not None and next_try > self.now():
                self._due(next_try)
            elif self.clock() < self.end:
                self._serve(target)
            else:
                self.done.more = True
        return self.done

    def _serve(self, target: OutboundTarget) -> None:
        claim = uuid4().hex
        found = claim_target(self.positions, target.id, claim, self.now(), self.now() + CLAIM_TIME)
        if found is None:
            return
        try:
            with closing(self.sender(target)) as sender:
                self._send_all(target, sender, claim, found)
        except DeliveryError as error:
            self._failed(target, claim, str(error), found["failures"])
        except Exception as error:  # what one target asks for must cost no other one
            log.exception("outbound target %a cannot be served", target.name)
            self._failed(target, claim, f"it cannot be served: {type(error).__name__}", found["failures"])
        finally:
            let_target_go(self.positions, target.id, claim)

    def _send_all(
        self, target: OutboundTarget, sender: OutboundSender, claim: str, found: OutboundPositionDocument
    ) -> None:
        """One batch of each feed in turn, until there is no more or the time is over. Raises DeliveryError."""
        end = min(self.end, self.clock() + TARGET_SECONDS)
        feeds = {feed.name: feed for feed in self.feeds(target)}
        places = {name: position_of(found, name) or first_position(target) for name in feeds}
        until = self.until()
        while feeds:
            for name, feed in list(feeds.items()):
                if self.clock() >= end:
                    self.done.more = True
                    return
                if places[name].at >= until:
                    del feeds[name]
                    continue
                place, more = self._send_one(target, sender, claim, found, feed, places[name], until)
                if place is None:  # another worker has it
                    return
                places[name] = place
                if not more:
                    del feeds[name]

    def _send_one(
        self,
        target: OutboundTarget,
        sender: OutboundSender,
        claim: str,
        found: OutboundPositionDocument,
        feed: OutboundFeed,
        place: FeedPosition,
        until: datetime,
    ) -> tuple[FeedPosition | None, bool]:
        try:
            page = feed.read(place, until)
        except (PyMongoError, ArchiveFileError) as error:
            raise DeliveryError(f"its rows could not be read: {type(error).__name__}") from error
        before = gap_of(found, feed.name)
        is_new = page.gap is not None and (before is None or page.gap.begin > before.end)
        gap = page.gap
        if gap is not None and before is not None and not is_new:
            gap = before._replace(end=gap.end)
        if page.rows:
            batch = OutboundBatch(
                target=target.name,
                content=OutboundContent(target.content),
                type=feed.type,
                resolution=feed.resolution,
                rows=page.rows,
                gap=page.gap,
            )
            sender.send(batch, self.now())
        kept = save_position(
            self.positions,
            target.id,
            claim,
            feed.name,
            page.position,
            gap=gap,
            is_new_gap=is_new,
            rows=len(page.rows),
            at=self.now(),
        )
        if page.rows:
            found["failures"] = 0
            self.done.deliveries += 1
            self.done.rows += len(page.rows)
        return (page.position if kept else None), page.more

    def _failed(self, target: OutboundTarget, claim: str, error: str, failures: int) -> None:
        due = self.now() + pause(failures)
        note_failure(self.positions, target.id, claim, error, self.now(), due)
        self.done.failures += 1
        self._due(due)
        log.warning("outbound target %a was not served: %.200s", target.name, error)

    def _due(self, at: datetime) -> None:
        self.done.next_at = at if self.done.next_at is None else min(self.done.next_at, at)

    def _test(self, targets: Mapping[int, OutboundTarget]) -> None:
        """Send the tests that were asked for."""
        for number, asked_at in asked_tests(self.positions).items():
            target = targets.get(number)
            if target is None or self.clock() >= self.end:
                continue
            batch = OutboundBatch(
                target=target.name,
                content=OutboundContent(target.content),
                type=None,
                resolution=target.resolution,
                rows=(),
                is_test=True,
            )
            try:
                with closing(self.sender(target)) as sender:
                    sender.send(batch, self.now())
            except DeliveryError as error:
                ok, said = False, str(error)
            else:
                ok, said = True, "the receiver took it"
            note_test(self.positions, number, asked_at, ok=ok, said=said, now=self.now())
            self.done.tests += 1


def pause(failures: int) -> timedelta:
    """How long to wait before the next try, after so many failures in a row besides the last."""
    return min(FIRST_RETRY_AFTER * (1 << min(failures, 20)), MAX_RETRY_AFTER)


def _failures(known: Mapping[int, OutboundPositionDocument], target: int) -> int:
    return known[target]["failures"] if target in known else 0


def _tried(known: Mapping[int, OutboundPositionDocument], target: int) -> float:
    at = known[target].get("tried_at") if target in known else None
    return at.timestamp() if at is not None else 0.0
