"""Columns that most tables have. What is here never changes: migrations that have run would mean something else."""

from datetime import datetime

import sqlalchemy as sa


def stamp(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    """A point in time, with its zone where the database knows zones."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    """A text of at most so many characters."""
    return sa.Column(name, sa.String(length), nullable=nullable)
