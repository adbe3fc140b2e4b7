"""The shape of a notice in the outbox. What does not belong here: its queries (`outbox`)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NotRequired, TypedDict

from bson import ObjectId


class NoticeState(StrEnum):
    """How far a notice is. given_up: it was tried for too long, or has nowhere to go."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class StoredAttachment(TypedDict):
    """A file of a notice. data: there until the notice is sent or given up."""

    name: str
    media_type: str
    bytes: int
    data: NotRequired[bytes]


class NoticeDocument(TypedDict):
    """A notice in `notifications`, one for each channel. _id: made of key and channel, so that it is there once.
    position: among those that were put at once.

    next_try: when it is due; while a worker sends it, when another may. blocks: nothing else goes to the channel until
    then. claim: of the worker that tried last. message: of all that went out as one message. said: what became of the
    last try, as the library or the server put it. done_at: when it was sent or given up; it expires by it.
    """

    _id: ObjectId
    key: str
    channel_id: int
    subject: str
    text: str
    severity: str
    attachments: list[StoredAttachment]
    created_at: datetime
    position: int
    state: str
    attempts: int
    next_try: datetime
    blocks: bool
    claim: NotRequired[str]
    tried_at: NotRequired[datetime]
    said: NotRequired[str]
    message: NotRequired[str]
    done_at: NotRequired[datetime]
