"""The SQL database for commands; its errors become one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from greenpower.app import sql_context
from greenpower.config import ConfigError, Settings
from greenpower.log import set_up_logging


@contextmanager
def sql_database(settings: Settings) -> Iterator[Flask]:
    """Within it, the SQL database can be used. Raises ConfigError with one line for any error of the database."""
    set_up_logging("WARNING")
    try:
        with sql_context(settings) as app:
            yield app
    except DBAPIError as error:
        where = make_url(settings.sql_url).render_as_string()
        raise ConfigError(f"SQL at {where}: {' '.join(str(error.orig).split())}") from None
