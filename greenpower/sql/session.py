"""The SQL database for processes without a Flask app, such as the worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from greenpower.config import Settings
from greenpower.sql.extensions import connect_args, prepare_engine


@contextmanager
def sql_session(settings: Settings) -> Iterator[Session]:
    """A session, rolled back unless committed. Leaves no open connection. Raises SQLAlchemyError."""
    url = settings.sql_url
    engine = create_engine(url, poolclass=NullPool, connect_args=connect_args(url))
    prepare_engine(engine)
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()
