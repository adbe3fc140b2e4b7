"""Channels: who may see and change which, and what a new one must be. For the API and the console.

What does not belong here: the routes (`channels`), the row (`greenpower.sql.notification_channel`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from pymongo.database import Database
from redis import Redis
from sqlalchemy import ColumnElement, select, true
from sqlalchemy.exc import IntegrityError

from greenpower.mongo.client import Document
from greenpower.notify.address import AddressError, check_address
from greenpower.notify.notice import Notice, notice_id
from greenpower.notify.put import put
from greenpower.sql import AuditAction, AuditObject, NotificationChannel, User
from greenpower.sql.actor import current_actor
from greenpower.sql.audit import AuditedChange, note_change
from greenpower.sql.extensions import db
from greenpower.sql.user import find_user

TEST_TEXT = "This is a test of the channel. Nothing has happened."


class ChannelError(Exception):
    """A channel that cannot be. field: which value is at fault; "" for a name that is taken."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def visible_channels(user_id: int | None) -> ColumnElement[bool]:
    """Which channels a user may see: the shared ones and their own. None: all, for an administrator."""
    if user_id is None:
        return true()
    return NotificationChannel.owner_id.is_(None) | (NotificationChannel.owner_id == user_id)


def find_owner(username: str) -> User:
    """The user whose a channel is to be. Raises ChannelError."""
    user = find_user(username)
    if user is None:
        raise ChannelError("owner", f"There is no user {username}.")
    return user


def add_channel(*, name: str, url: str, owner: User | None, enabled: bool) -> NotificationChannel:
    """Make a channel, and commit. Raises ChannelError."""
    actor = current_actor()
    channel = NotificationChannel(
        name=name, url=_checked(url), owner=owner, enabled=enabled, created_by=None if actor is None else actor.name
    )
    db.session.add(channel)
    _commit(name)
    return channel


def change_channel(channel: NotificationChannel, changes: dict[str, Any]) -> None:
    """Change a channel, and commit. changes: of `name`, `url`, `enabled`, `owner`. Raises ChannelError."""
    if "url" in changes:
        changes = {**changes, "url": _checked(changes["url"])}
    for key, value in changes.items():
        setattr(channel, key, value)
    _commit(channel.name)


def put_test(database: Database[Document], redis: Redis | None, channel: NotificationChannel, now: datetime) -> str:
    """Put a test into the outbox, with an entry of the audit. Returns the id of its notice. Raises PyMongoError."""
    key = f"test/{uuid4().hex}"
    found = str(notice_id(key, channel.id))
    change = AuditedChange.begin(
        action=AuditAction.CHANGE,
        object_type=AuditObject.NOTIFICATION_CHANNEL,
        object_name=channel.name,
        before={"test": None},
        after={"test": found},
    )
    note_change(db.session, change, channel.id)
    put(
        database,
        [Notice(key=key, channel_id=channel.id, subject=f"Test of {channel.name}", text=TEST_TEXT)],
        now=now,
        redis=redis,
    )
    return found


def channel_names() -> dict[int, str]:
    """The names of all channels by id."""
    return {
        number: name for number, name in db.session.execute(select(NotificationChannel.id, NotificationChannel.name))
    }


def _checked(url: str) -> str:
    try:
        check_address(url)
    except AddressError as error:
        raise ChannelError("url", str(error)) from None
    return url


def _commit(name: str) -> None:
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise ChannelError("", f"There is already a channel {name!r}.") from None
