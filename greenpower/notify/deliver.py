"""Speaking through apprise: one message to one address. For the worker only: nothing else imports this module.

What belongs here: apprise's settings, and what it says about a try. What does not: which message (`message`), when
(`send`).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import apprise
from apprise.attachment.memory import AttachMemory

from greenpower.notify.address import AddressError, check_address, without_secrets
from greenpower.notify.message import OutgoingMessage
from greenpower.notify.notice import NoticeSeverity
from greenpower.notify.send import Tried

TYPES = {
    NoticeSeverity.INFO: apprise.NotifyType.INFO,
    NoticeSeverity.RESOLVED: apprise.NotifyType.SUCCESS,
    NoticeSeverity.WARNING: apprise.NotifyType.WARNING,
    NoticeSeverity.CRITICAL: apprise.NotifyType.FAILURE,
}
SERVICE_SECONDS = 30.0
SAID_NOTHING = "it failed, and gave no reason"


class _Lines(logging.Handler):
    """What apprise logs, kept."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def deliver(url: str, message: OutgoingMessage) -> Tried:
    """Send a message. Never raises: what went wrong is in the answer."""
    try:
        check_address(url)
    except AddressError as error:
        return Tried(sent=False, said=str(error))
    with _listening() as lines:
        try:
            sent = _send(url, message)
        except Exception as error:  # from any service's plugin
            sent = False
            lines.append(f"{type(error).__name__}: {error}")
    said = without_secrets("; ".join(dict.fromkeys(lines)), url)
    return Tried(sent=sent, said=said or ("sent" if sent else SAID_NOTHING))


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Within it, what apprise logs is gathered. Its lines, and those of what it speaks HTTP with, may hold parts of an
    address: they go into the answer, which is cleaned, and nowhere else."""
    lines = _Lines()
    own, http = logging.getLogger("apprise"), logging.getLogger("urllib3")
    before = (own.level, own.propagate, http.level)
    own.setLevel(logging.INFO)
    own.propagate = False
    http.setLevel(logging.ERROR)
    own.addHandler(lines)
    try:
        yield lines.lines
    finally:
        own.removeHandler(lines)
        own.setLevel(before[0])
        own.propagate = before[1]
        http.setLevel(before[2])


def _send(url: str, message: OutgoingMessage) -> bool:
    asset = apprise.AppriseAsset(
        app_id="Green Power",
        app_desc="Green Power",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        http_redirects=False,
        allow_templates=False,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        service_timeout=SERVICE_SECONDS,
    )
    service = apprise.Apprise(asset=asset)
    with warnings.catch_warnings():
        # It imports all its services, some of which use what Python no longer recommends.
        warnings.simplefilter("ignore", DeprecationWarning)
        if not service.add(url):
            return False
    return bool(
        service.notify(
            title=message.subject,
            body=message.text,
            notify_type=TYPES[message.severity],
            body_format=apprise.NotifyFormat.TEXT,
            attach=_attached(message.attachments),
        )
    )


def _attached(files: Sequence[dict[str, Any]]) -> list[AttachMemory] | None:
    return [_in_memory(file) for file in files] or None


def _in_memory(file: dict[str, Any]) -> AttachMemory:
    data = bytes(file["data"])
    return AttachMemory(content=data, name=file["name"], mimetype=file["media_type"])  # type: ignore[no-untyped-call]
