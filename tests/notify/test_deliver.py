"""Messages through apprise to real servers: what arrives, what is said of a failure, and what is never said."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId

from greenpower.notify.deliver import deliver
from greenpower.notify.message import OutgoingMessage
from greenpower.notify.notice import NoticeSeverity
from greenpower.stack.port import free_port
from tests.notify.receivers import Mailbox, Webhook, smtp_server, webhook_server

FILES = (
    {"name": "Bericht Größe.pdf", "media_type": "application/pdf", "data": b"%PDF-1.7 x"},
    {
        "name": "a.xlsx",
        "media_type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "data": b"PK",
    },
)


def message(**more: Any) -> OutgoingMessage:
    given = {"subject": "Größe: বিদ্যুৎ", "text": "Line 1\nLine 2 <b>&", "severity": NoticeSeverity.CRITICAL, **more}
    return OutgoingMessage(notices=(ObjectId(),), **given)


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as box:
        yield box


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with webhook_server() as hook:
        yield hook


def test_a_mail_arrives_with_its_files(mailbox: Mailbox) -> None:
    tried = deliver(mailbox.url, message(attachments=FILES))
    assert tried.sent, tried.said
    mail = mailbox.mails.pop()
    assert mail["Subject"] == "Größe: বিদ্যুৎ" and mail["To"] == "team@example.org"
    text = mail.get_body(("plain",))
    assert text is not None and text.get_content().splitlines()[:2] == ["Line 1", "Line 2 <b>&"]
    found = {part.get_filename(): (part.get_content_type(), part.get_content()) for part in mail.iter_attachments()}
    assert found == {str(file["name"]): (file["media_type"], file["data"]) for file in FILES}


def test_a_mail_that_is_refused_is_not_sent(mailbox: Mailbox) -> None:
    mailbox.answer = "554 no"
    assert not deliver(mailbox.url, message()).sent
    mailbox.answer = "250 OK"
    assert deliver(mailbox.url, message()).sent
    mailbox.mails.clear()


def test_a_webhook_gets_it_and_errors_say_their_status_and_no_part_of_the_address(
    webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert deliver(webhook.url, message(attachments=FILES[:1])).sent
    got = webhook.got.pop()
    assert (got["title"], got["type"]) == ("Größe: বিদ্যুৎ", "failure") and got["message"].startswith("Line 1")
    assert [file["filename"] for file in got["attachments"]] == ["Bericht Größe.pdf"]
    for status in (401, 404, 500, 503):
        webhook.status = status
        tried = deliver(webhook.url, message())
        assert not tried.sent and str(status) in tried.said
        assert "t0ken" not in tried.said and "127.0.0.1" not in tried.said
    assert "t0ken" not in caplog.text
    webhook.status = 200


def test_a_redirect_is_not_followed(webhook: Webhook) -> None:
    webhook.paths.clear()
    webhook.status, webhook.headers = 302, {"Location": f"http://127.0.0.1:{webhook.port}/elsewhere"}
    assert not deliver(webhook.url, message()).sent
    assert webhook.paths == ["/hook-t0ken"]
    webhook.status, webhook.headers = 200, {}


def test_a_server_that_does_not_answer_or_is_not_there(webhook: Webhook) -> None:
    webhook.gate.clear()
    tried = deliver(f"{webhook.url}?rto=0.2", message())
    webhook.gate.set()
    assert not tried.sent and tried.said
    assert not deliver(f"json://127.0.0.1:{free_port()}/", message()).sent
    assert not deliver(f"mailto://127.0.0.1:{free_port()}?from=a@example.org&to=b@example.org", message()).sent


@pytest.mark.parametrize("url", ["file:///tmp/x", "syslog://", "json://h?template=/etc/passwd", "tgram://x", "json://"])
def test_an_address_that_cannot_be_used_fails_with_a_reason(url: str) -> None:
    tried = deliver(url, message())
    assert not tried.sent and tried.said
