"""Roles: what a user may do. There are three; each may do everything that the one below may."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.extensions import Base


class RoleName(StrEnum):
    """The roles, lowest first."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: RoleName) -> bool:
        """Whether this role may do everything that the other may."""
        order = tuple(RoleName)
        return order.index(self) >= order.index(other)


DESCRIPTIONS = {
    RoleName.VIEWER: "reads telemetry, devices and zones",
    RoleName.OPERATOR: "also changes devices and zones, and confirms incidents",
    RoleName.ADMIN: "also manages users and keys",
}


class Role(Base):
    """A role, referred to by users."""

    __tablename__ = "role"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(32), unique=True)
    description: Mapped[str] = mapped_column(String(200), default="")
