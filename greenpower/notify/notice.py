"""A notice: what is told to one channel, and its limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from bson import ObjectId

from greenpower.mongo.client import Document
from greenpower.mongo.notifications.document import NoticeState

MAX_SUBJECT_LENGTH = 200
MAX_TEXT_LENGTH = 20_000
MAX_KEY_LENGTH = 200
# Files lie in the notice's own document, which MongoDB limits to 16 MB; many mail servers refuse more than 10 MB.
MAX_ATTACHED_BYTES = 8 * 1024 * 1024
CUT_MARK = "…"
ID_BYTES = 12


class NoticeSeverity(StrEnum):
    """How much a notice matters, least first. Channels show it by a colour or an icon where they can."""

    INFO = "info"
    RESOLVED = "resolved"
    WARNING = "warning"
    CRITICAL = "critical"


class NoticeError(ValueError):
    """A notice that cannot be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file of a notice. name: as the receiver sees it, without a path."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is told to one channel. key: what it is about, the same whenever the same thing is told again, such as
    `alarm/17/2` (alarm, sequence of its change) or `report/3/2026-10`; with the channel it is what makes a notice
    unique. Texts that are too long are cut."""

    key: str
    channel_id: int
    subject: str
    text: str
    severity: NoticeSeverity = NoticeSeverity.INFO
    attachments: tuple[Attachment, ...] = ()

    def document(self, now: datetime, position: int = 0) -> Document:
        """It in the outbox. position: among those that are put at once. Raises NoticeError."""
        if not 0 < len(self.key) <= MAX_KEY_LENGTH:
            raise NoticeError(f"a key has 1 to {MAX_KEY_LENGTH} characters: {self.key[:MAX_KEY_LENGTH]!r}")
        if (size := sum(len(item.data) for item in self.attachments)) > MAX_ATTACHED_BYTES:
            raise NoticeError(f"{size} bytes are attached; at most {MAX_ATTACHED_BYTES} are allowed")
        return {
            "_id": notice_id(self.key, self.channel_id),
            "key": self.key,
            "channel_id": self.channel_id,
            "subject": cut(one_line(self.subject), MAX_SUBJECT_LENGTH),
            "text": cut(self.text, MAX_TEXT_LENGTH),
            "severity": self.severity.value,
            "attachments": [
                {"name": item.name, "media_type": item.media_type, "bytes": len(item.data), "data": item.data}
                for item in self.attachments
            ],
            "created_at": now,
            "position": position,
            "state": NoticeState.WAITING.value,
            "attempts": 0,
            "next_try": now,
            "blocks": False,
        }


def notice_id(key: str, channel_id: int) -> ObjectId:
    """The id of a notice: the same for the same key and channel."""
    return ObjectId(sha256(f"{channel_id}/{key}".encode()).digest()[:ID_BYTES])


def cut(text: str, length: int) -> str:
    """A text of at most so many characters; one that was cut ends with a mark."""
    return text if len(text) <= length else text[: length - 1] + CUT_MARK


def one_line(text: str) -> str:
    """A text without line breaks and control characters: a subject is a header of a mail."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
