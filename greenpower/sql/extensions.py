"""Flask extensions that every module shares, not yet bound to an app; `greenpower.app` binds them.

What belongs here: the SQL base class and the extension objects. What does not: their configuration and their callbacks.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, MetaData, event
from sqlalchemy.orm import DeclarativeBase

BUSY_MS = 5_000
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of all SQL models. Constraints have names, so that migrations can change them on every database."""

    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(metadata=Base.metadata)
jwt = JWTManager()


def init_sql(app: Flask) -> None:
    """Bind the SQL database to an app. Connects to nothing yet, so it is safe before a fork."""
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)


def prepare_engine(engine: Engine) -> None:
    """Set an engine up for several processes, whatever its database. Connects to nothing."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)


def engine_options(url: str) -> dict[str, Any]:
    """Pool and time limits: a database that hangs costs a request seconds, never a thread for ever."""
    if url.startswith("sqlite"):
        return {"connect_args": connect_args(url)}
    return {
        "pool_pre_ping": True,
        "pool_size": 8,
        "max_overflow": 4,
        "pool_timeout": 5,
        "connect_args": connect_args(url),
    }


def connect_args(url: str) -> dict[str, Any]:
    """Time limits of a connection."""
    if url.startswith("sqlite"):
        return {"timeout": BUSY_MS / 1000}
    return {"connect_timeout": 3, "options": "-c statement_timeout=10000"}


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Readers beside a writer, patience for a lock, and foreign keys, which SQLite leaves off."""
    for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
