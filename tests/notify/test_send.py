"""Sending what is due, with a clock of its own and a receiver that does what the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.collection import Collection

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import NOTIFICATIONS
from greenpower.notify.message import MAX_LISTED_NOTICES, OutgoingMessage, write_message
from greenpower.notify.notice import Attachment, Notice, NoticeSeverity
from greenpower.notify.put import put
from greenpower.notify.send import (
    CLAIM_LASTS,
    GIVE_UP_AFTER,
    MAX_MESSAGES_PER_WINDOW,
    RATE_WINDOW,
    RETRY_AFTER,
    NoticeSender,
    SendRun,
    Target,
    Tried,
)
from tests.kept_database import kept_name, module_database  # noqa: F401 - fixtures

T0 = datetime(2026, 11, 1, 8, tzinfo=UTC)
FILE = Attachment(name="a.pdf", media_type="application/pdf", data=b"pdf")


class Killed(BaseException):
    """The process ends here."""


class Outbox:
    """An outbox with a clock, and a receiver: what it was sent is in `got`, as (url, subject)."""

    def __init__(self, outbox: Collection[Document]) -> None:
        self.outbox = outbox
        self.now = T0
        self.got: list[tuple[str, str]] = []
        self.messages: list[OutgoingMessage] = []
        self.closed: dict[int, str] = {}
        self.answer: Callable[[OutgoingMessage], str] = lambda message: ""

    def put(self, key: str, channel: int = 1, severity: str = "info", *files: Attachment) -> None:
        notice = Notice(
            key=key, channel_id=channel, subject=key, text=f"text of {key}", severity=NoticeSeverity(severity),
            attachments=files,
        )  # fmt: skip
        assert put(self.outbox.database, [notice], now=self.now, redis=None) == 1

    def run(self, after: timedelta = timedelta()) -> SendRun:
        self.now += after
        self.got, self.messages = [], []
        return self.sender().run()

    def sender(self) -> NoticeSender:
        return NoticeSender(outbox=self.outbox, find=self._find, send=self._send, now=lambda: self.now)

    def states(self) -> dict[str, str]:
        return {row["key"]: row["state"] for row in self.outbox.find()}

    def _find(self, channel_id: int) -> Target:
        return Target(url=f"json://{channel_id}", closed=self.closed.get(channel_id, ""))

    def _send(self, url: str, message: OutgoingMessage) -> Tried:
        self.got.append((url, message.subject))
        self.messages.append(message)
        fault = self.answer(message)
        return Tried(sent=not fault, said=fault or "250 OK")

    @property
    def subjects(self) -> list[str]:
        return [subject for _, subject in self.got]


@pytest.fixture
def mongo_name(kept_name: str) -> str:  # noqa: F811
    return kept_name


@pytest.fixture
def outbox(settings: Settings) -> Iterator[Outbox]:
    with sync_client(settings) as client:
        yield Outbox(client[settings.mongo_db_name][NOTIFICATIONS])


def test_what_waits_is_sent_once_in_order_and_its_files_are_dropped(outbox: Outbox) -> None:
    for key in ("b", "a"):
        outbox.put(key)
        outbox.now += timedelta(seconds=1)
    outbox.put("report", 2, "info", FILE)
    done = outbox.run()
    assert outbox.got == [("json://1", "b"), ("json://1", "a"), ("json://2", "report")]
    assert outbox.messages[2].attachments[0]["data"] == b"pdf"
    assert (done.messages, done.failures, done.next_at) == (3, 0, None)
    assert outbox.run().messages == 0
    kept = outbox.outbox.find_one({"key": "report"})
    assert kept is not None
    assert kept["attachments"] == [{"name": "a.pdf", "media_type": "application/pdf", "bytes": 3}]
    assert (kept["said"], kept["done_at"], kept["attempts"]) == ("250 OK", outbox.now, 1)


def test_a_failed_try_is_repeated_later_and_later_and_given_up_after_a_day(outbox: Outbox) -> None:
    outbox.put("a")
    outbox.answer = lambda message: "503 busy"
    waits = []
    while outbox.states() == {"a": "waiting"}:
        done = outbox.run()
        assert outbox.subjects == ["a"]
        if done.next_at is not None:
            waits.append(done.next_at - outbox.now)
            assert outbox.run(timedelta(seconds=1)).messages == 0 and outbox.got == []
            outbox.now = done.next_at
    assert waits[: len(RETRY_AFTER)] == list(RETRY_AFTER) and set(waits[len(RETRY_AFTER) :]) == {RETRY_AFTER[-1]}
    assert GIVE_UP_AFTER <= outbox.now - T0 < GIVE_UP_AFTER + RETRY_AFTER[-1]
    row = outbox.outbox.find_one()
    assert row is not None and (row["state"], row["said"]) == ("given_up", "503 busy")
    assert outbox.run(GIVE_UP_AFTER).next_at is None


def test_what_waited_for_long_without_a_worker_is_tried_all_the_same(outbox: Outbox) -> None:
    outbox.put("a")
    assert outbox.run(3 * GIVE_UP_AFTER).messages == 1


def test_while_a_channel_is_down_nothing_overtakes_and_others_go_on(outbox: Outbox) -> None:
    outbox.put("raise")
    outbox.answer = lambda message: "down" if message.subject == "raise" else ""
    outbox.run()
    outbox.now += timedelta(seconds=1)
    outbox.put("clear")
    outbox.put("other", 2)
    assert outbox.run().next_at == T0 + RETRY_AFTER[0]
    assert outbox.got == [("json://2", "other")]
    outbox.answer = lambda message: ""
    outbox.now = T0 + RETRY_AFTER[0]
    outbox.run()
    assert outbox.subjects == ["raise", "clear"]


def test_a_message_that_no_server_takes_does_not_hold_up_the_others(outbox: Outbox) -> None:
    outbox.put("large", 1, "info", FILE)
    outbox.put("b")
    outbox.answer = lambda message: "552 too large" if message.subject == "large" else ""
    outbox.run()
    assert outbox.states() == {"large": "waiting", "b": "sent"}
    outbox.put("c")
    outbox.run()
    assert outbox.subjects == ["c"]
    outbox.run(RETRY_AFTER[0])
    assert outbox.subjects == ["large"]


def test_a_storm_is_one_message_with_a_count_and_the_worst_first(outbox: Outbox) -> None:
    for number in range(MAX_LISTED_NOTICES + 20):
        outbox.put(f"n{number}", 1, "critical" if number >= MAX_LISTED_NOTICES else "warning")
    outbox.put("report", 1, "info", FILE)
    outbox.run()
    assert outbox.subjects == ["70 notices: 20 critical, 50 warning", "report"]
    message = outbox.messages[0]
    assert message.severity is NoticeSeverity.CRITICAL and len(message.notices) == 70
    listed = [line for line in message.text.splitlines() if "] n" in line]
    assert len(listed) == MAX_LISTED_NOTICES and sum("[critical]" in line for line in listed) == 20
    assert "20 more" in message.text
    assert set(outbox.states().values()) == {"sent"}
    assert len(outbox.outbox.distinct("message")) == 2


def test_a_channel_gets_no_more_messages_than_its_rate(outbox: Outbox) -> None:
    for number in range(MAX_MESSAGES_PER_WINDOW + 2):
        outbox.put(f"r{number}", 1, "info", FILE)
    done = outbox.run()
    assert done.messages == MAX_MESSAGES_PER_WINDOW and done.next_at == T0 + RATE_WINDOW
    assert outbox.run(RATE_WINDOW - timedelta(seconds=1)).messages == 0
    assert outbox.run(timedelta(seconds=1)).messages == 2


@pytest.mark.parametrize("after", [False, True])
def test_killed_while_sending_it_is_sent_again(outbox: Outbox, after: bool) -> None:
    """after: whether the server had taken it."""
    outbox.put("raise")
    outbox.put("clear")
    taken = []

    def die(message: OutgoingMessage) -> str:
        if after:
            taken.append(message.subject)
        raise Killed

    outbox.answer = die
    with pytest.raises(Killed):
        outbox.run()
    outbox.answer = lambda message: taken.append(message.subject) or ""  # type: ignore[func-returns-value]
    done = outbox.run()
    assert done.messages == 0 and done.next_at == T0 + CLAIM_LASTS
    outbox.run(CLAIM_LASTS)
    assert taken == [*(["raise"] if after else []), "raise", "clear"]
    assert set(outbox.states().values()) == {"sent"}


def test_two_workers_share_and_send_each_once(outbox: Outbox) -> None:
    outbox.put("a")
    outbox.put("b")
    inner: list[SendRun] = []

    def other_worker(message: OutgoingMessage) -> str:
        if not inner:
            inner.append(outbox.sender().run())
        return ""

    outbox.answer = other_worker
    outbox.run()
    assert outbox.subjects == ["a", "b"] and inner[0].messages == 0


def test_a_run_that_claims_only_a_part_sends_nothing(outbox: Outbox) -> None:
    """Between reading what waits and claiming it, another run has taken one."""
    for key in "abcd":
        outbox.put(key)
    sender = outbox.sender()
    original = sender.find

    def find(channel_id: int) -> Target:
        far = outbox.now + CLAIM_LASTS
        outbox.outbox.update_one({"key": "b"}, {"$set": {"claim": "other", "next_try": far, "blocks": True}})
        return original(channel_id)

    done = NoticeSender(outbox=sender.outbox, find=find, send=sender.send, now=sender.now).run()
    assert outbox.got == [] and done.next_at == outbox.now + CLAIM_LASTS
    outbox.run(CLAIM_LASTS)
    assert outbox.subjects == ["4 notices: 4 info"]


def test_where_there_is_nowhere_to_go_it_is_given_up_with_the_reason(outbox: Outbox) -> None:
    outbox.put("a")
    outbox.put("b", 2)
    outbox.closed[1] = "the channel is disabled"
    done = outbox.run()
    assert outbox.got == [("json://2", "b")] and done.given_up == 1
    row = outbox.outbox.find_one({"key": "a"})
    assert row is not None and (row["state"], row["said"]) == ("given_up", "the channel is disabled")


def test_a_message_of_one_notice_is_that_notice() -> None:
    notice = Notice(key="a", channel_id=1, subject="s", text="t", severity=NoticeSeverity.RESOLVED).document(T0)
    message = write_message([notice])
    assert (message.subject, message.text, message.severity) == ("s", "t", NoticeSeverity.RESOLVED)
