"""Token families: one per login. All tokens of one login share it and end with it.

A refresh token is good once: using it moves the family on by a generation. One of an earlier generation is therefore a
copy in other hands, and the family is revoked.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, ForeignKey, String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.extensions import Base, db
from greenpower.sql.time import UtcDateTime, now


class TokenFamily(Base):
    """The tokens of one login. generation: of the refresh token that is valid now."""

    __tablename__ = "token_family"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def revoke_families(which: ColumnElement[bool]) -> list[str]:
    """Revoke the families that match and are not revoked yet. Returns their ids. Needs an app context; the caller
    commits and then mirrors them (`greenpower.bus.revocation`).
    """
    good = (which, TokenFamily.revoked_at.is_(None))
    found = list(db.session.scalars(select(TokenFamily.id).where(*good)))
    db.session.execute(
        update(TokenFamily).where(*good).values(revoked_at=now()).execution_options(synchronize_session=False)
    )
    return found
