"""Notification channels: where messages to people go."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now
from greenpower.sql.user import User

MAX_CHANNEL_URL_LENGTH = 2_000


class NotificationChannel(Base):
    """A channel. url: the address as apprise reads it, with its passwords and tokens: it is never shown. owner_id:
    whose it is, and it goes with them; None: everyone's."""

    __tablename__ = "notification_channel"
    # No id is used again: what waits for a channel that was deleted must not go to another.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    url: Mapped[str] = mapped_column(String(MAX_CHANNEL_URL_LENGTH))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
    created_by: Mapped[str | None] = mapped_column(String(150))

    owner: Mapped[User | None] = relationship(lazy="joined")

    audited: ClassVar = Audited(
        object_type=AuditObject.NOTIFICATION_CHANNEL,
        name="name",
        columns=("name", "enabled"),
        secrets={"url": "address"},
        values={
            "owner": lambda id: (
                select(User.username)
                .join(NotificationChannel, NotificationChannel.owner_id == User.id)
                .where(NotificationChannel.id == id)
            )
        },
    )

    @property
    def schema(self) -> str:
        """The kind of address, such as `mailtos`: all of it that may be shown."""
        return self.url.partition(":")[0].lower()
