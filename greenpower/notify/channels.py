"""Channels as the outbox needs them: whether one may be used, and its address. What does not belong here: the rows
(`greenpower.sql.notification_channel`), changing them (`greenpower.api.notifications`)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from greenpower.notify.send import Target
from greenpower.sql import NotificationChannel


def find_target(session: Session, channel_id: int) -> Target:
    """Where a channel's messages go now. Raises SQLAlchemyError."""
    channel = session.get(NotificationChannel, channel_id, populate_existing=True)
    if channel is None:
        return Target(closed="there is no such channel any more")
    if not channel.enabled:
        return Target(closed="the channel is disabled")
    if channel.owner is not None and not channel.owner.active:
        return Target(closed="the owner of the channel is not active")
    return Target(url=channel.url)
