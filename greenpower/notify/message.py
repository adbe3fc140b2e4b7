"""Messages: what waits for a channel, put together. Many notices become one message. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bson import ObjectId

from greenpower.mongo.client import Document
from greenpower.notify.notice import CUT_MARK, NoticeSeverity

# So many notices still go out one by one; more become one message.
MAX_SEPARATE_NOTICES = 3
# A message of many lists so many of them, the worst first where there are more, and counts the rest.
MAX_LISTED_NOTICES = 50
# Of each listed one: so many characters of its text.
MAX_LISTED_TEXT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """What goes out at once. notices: the ids of those it tells. attachments: as they are stored."""

    notices: tuple[ObjectId, ...]
    subject: str
    text: str
    severity: NoticeSeverity
    attachments: tuple[dict[str, Any], ...] = ()


def group_notices(notices: Sequence[Document]) -> list[list[Document]]:
    """Notices of a channel, oldest first, by message: those with files each alone, the others alone where they are few,
    else together. The order stays: a message is where its first notice was."""
    plain = [notice for notice in notices if not notice["attachments"]]
    if len(plain) <= MAX_SEPARATE_NOTICES:
        return [[notice] for notice in notices]
    groups = []
    for notice in notices:
        if notice["attachments"]:
            groups.append([notice])
        elif notice is plain[0]:
            groups.append(plain)
    return groups


def write_message(notices: Sequence[Document]) -> OutgoingMessage:
    """The message of a group: that of a single notice, or a list of many with their count."""
    ids = tuple(notice["_id"] for notice in notices)
    if len(notices) == 1:
        notice = notices[0]
        return OutgoingMessage(
            notices=ids,
            subject=notice["subject"],
            text=notice["text"],
            severity=severity_of(notice),
            attachments=tuple(notice["attachments"]),
        )
    counts = Counter(severity_of(notice) for notice in notices)
    worst_first = sorted(counts, key=tuple(NoticeSeverity).index, reverse=True)
    counted = ", ".join(f"{counts[severity]} {severity.value}" for severity in worst_first)
    listed = _listed(notices)
    left = len(notices) - len(listed)
    blocks = (_listed_text(notice) for notice in listed)
    end = [f"… and {left} more; the log of notifications has them all."] if left else []
    return OutgoingMessage(
        notices=ids,
        subject=f"{len(notices)} notices: {counted}",
        text="\n\n".join(chain(blocks, end)),
        severity=worst_first[0],
    )


def severity_of(notice: Document) -> NoticeSeverity:
    """The severity of a stored notice."""
    return NoticeSeverity(notice["severity"])


def _listed(notices: Sequence[Document]) -> Sequence[Document]:
    """Those that are listed, oldest first."""
    if len(notices) <= MAX_LISTED_NOTICES:
        return notices
    order = tuple(NoticeSeverity)
    worst = sorted(notices, key=lambda notice: order.index(severity_of(notice)), reverse=True)[:MAX_LISTED_NOTICES]
    return [notice for notice in notices if notice in worst]


def _listed_text(notice: Document) -> str:
    at = notice["created_at"].isoformat(timespec="seconds").replace("+00:00", "Z")
    text = notice["text"].strip()
    if len(text) > MAX_LISTED_TEXT:
        text = text[: MAX_LISTED_TEXT - 1] + CUT_MARK
    return f"{at} [{notice['severity']}] {notice['subject']}\n{text}".rstrip()
