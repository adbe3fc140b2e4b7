"""Sending what is due: channel by channel, oldest first, with back-off, a rate limit, and one message for a storm.

A run claims notices before it sends them, and notes what became of them. Killed between the two, the claim ends after a
while and they are sent again: a notice that comes twice is better than one that never comes.

What belongs here: when what is sent. What does not: queries (`greenpower.mongo.notifications`), how (`deliver`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from bson import ObjectId
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.notifications.document import NoticeState
from greenpower.mongo.notifications.outbox import (
    claim_notices,
    finish_notices,
    let_go,
    messages_since,
    postpone_notices,
    waiting_channels,
    waiting_of,
)
from greenpower.notify.message import OutgoingMessage, group_notices, write_message

log = logging.getLogger(__name__)

# After each failed try; the last one from then on.
RETRY_AFTER = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 300, 900))
# A notice that is older is given up when a try fails.
GIVE_UP_AFTER = timedelta(days=1)
# Longer than a try takes: after it, the run that claimed a notice is taken for dead.
CLAIM_LASTS = timedelta(seconds=180)
# A channel gets so many messages in a minute; the rest waits, and may become one message.
MAX_MESSAGES_PER_WINDOW, RATE_WINDOW = 10, timedelta(seconds=60)
# A run takes so many notices of a channel.
MAX_NOTICES_AT_ONCE = 1_000

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a channel's messages go. closed: why nothing may go there, empty if it may."""

    url: str = ""
    closed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of a try. said: for people; nothing of the address is in it."""

    sent: bool
    said: str


@dataclass(slots=True, kw_only=True)
class SendRun:
    """What a run did. next_at: when something is due next, None if nothing waits."""

    messages: int = 0
    failures: int = 0
    given_up: int = 0
    next_at: datetime | None = None

    def again_at(self, at: datetime) -> None:
        """Something is due at a time."""
        self.next_at = at if self.next_at is None else min(self.next_at, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSender:
    """A run over all channels. find: a channel's target, closed where there is none. send: one message."""

    outbox: Collection[Document]
    find: Callable[[int], Target]
    send: Callable[[str, OutgoingMessage], Tried]
    now: Clock
    claim: str = field(default_factory=lambda: uuid4().hex)

    def run(self, may_continue: Callable[[], bool] = lambda: True) -> SendRun:
        """Send what is due. Raises PyMongoError, and what `find` raises; the next run goes on."""
        done = SendRun()
        for channel_id in waiting_channels(self.outbox):
            if not may_continue():
                done.again_at(self.now())
                break
            self._channel(channel_id, done)
        return done

    def _channel(self, channel_id: int, done: SendRun) -> None:
        now = self.now()
        waiting = waiting_of(self.outbox, channel_id, MAX_NOTICES_AT_ONCE)
        blocked = [notice["next_try"] for notice in waiting if notice["blocks"] and notice["next_try"] > now]
        if blocked:
            done.again_at(max(blocked))
            return
        due = [notice for notice in waiting if notice["next_try"] <= now]
        for notice in waiting:
            if notice["next_try"] > now:
                done.again_at(notice["next_try"])
        if len(waiting) == MAX_NOTICES_AT_ONCE:
            done.again_at(now)
        target = self.find(channel_id)
        if target.closed:
            self._give_up(due, target.closed, done)
            return
        self._send_all(channel_id, target, group_notices(due), done)

    def _send_all(self, channel_id: int, target: Target, groups: Sequence[list[Document]], done: SendRun) -> None:
        """Send messages in order until the limit is reached, or two have failed."""
        recent = messages_since(self.outbox, channel_id, self.now() - RATE_WINDOW)
        failed: list[tuple[list[Document], str]] = []
        sent = False
        for group in groups:
            if len(recent) >= MAX_MESSAGES_PER_WINDOW:
                done.again_at(recent[-MAX_MESSAGES_PER_WINDOW] + RATE_WINDOW)
                break
            now = self.now()
            mine = claim_notices(self.outbox, _ids(group), self.claim, now, now + CLAIM_LASTS)
            if len(mine) < len(group):  # another run is at this channel
                let_go(self.outbox, _ids(mine), self.claim, now)
                done.again_at(now + CLAIM_LASTS)
                break
            tried = self.send(target.url, write_message(mine))
            if tried.sent:
                finish_notices(self.outbox, _ids(mine), self.claim, NoticeState.SENT, tried.said, self.now())
                recent.append(self.now())
                sent = True
                done.messages += 1
                continue
            failed.append((mine, tried.said))
            done.failures += 1
            if len(failed) > 1:
                done.again_at(self.now())
                break
        for notices, said in failed:
            # Where others got through, it is the message that is at fault, and the channel goes on without it.
            self._failed(notices, said, blocks=not sent, done=done)

    def _failed(self, notices: Sequence[Document], said: str, *, blocks: bool, done: SendRun) -> None:
        """Put what was tried off to its next try, or give up what is too old."""
        now = self.now()
        log.warning("channel %d did not take a message: %.300s", notices[0]["channel_id"], said)
        old = [notice for notice in notices if now - notice["created_at"] >= GIVE_UP_AFTER]
        if old:
            finish_notices(self.outbox, _ids(old), self.claim, NoticeState.GIVEN_UP, said, now)
            done.given_up += len(old)
        for notice in notices:
            if notice not in old:
                next_try = now + RETRY_AFTER[min(notice["attempts"], len(RETRY_AFTER)) - 1]
                postpone_notices(self.outbox, [notice["_id"]], self.claim, said, next_try, blocks=blocks)
                done.again_at(next_try)

    def _give_up(self, notices: Sequence[Document], why: str, done: SendRun) -> None:
        now = self.now()
        mine = claim_notices(self.outbox, _ids(notices), self.claim, now, now + CLAIM_LASTS)
        if mine:
            finish_notices(self.outbox, _ids(mine), self.claim, NoticeState.GIVEN_UP, why, now)
            done.given_up += len(mine)


def _ids(notices: Sequence[Document]) -> list[ObjectId]:
    return [notice["_id"] for notice in notices]
