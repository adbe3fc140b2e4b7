"""Who acts at the console, for the audit: the user of the machine."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from greenpower.cli.sql import sql_database
from greenpower.config import Settings
from greenpower.sql import AuditEntry
from greenpower.sql.actor import Actor, ActorKind, acting
from greenpower.sql.extensions import db


def console_actor() -> Actor:
    """The user of the machine, as `cli:NAME`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in a container
        name = str(os.getuid())
    return Actor(kind=ActorKind.CONSOLE, name=f"cli:{name}")


@contextmanager
def console_audit(settings: Settings) -> Iterator[None]:
    """Within it, the audit can be written: by what changes SQL, and with `note_change` for what is elsewhere.

    Raises ConfigError where it cannot, before anything is changed.
    """
    with sql_database(settings), acting(console_actor()):
        db.session.scalar(select(AuditEntry.id).limit(1))
        db.session.rollback()
        yield
