"""Embedded servers for one command, while `greenpower up` does not run: those whose address is not set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pydantic import SecretStr

from greenpower.config import Settings
from greenpower.stack.home import locked
from greenpower.stack.stack import choose_parts
from greenpower.stack.stale_processes import end_stale_processes

# A command needs no broker; with a name there, none is fetched.
NO_BROKER = "none"


@contextmanager
def own_servers(settings: Settings) -> Iterator[Settings]:
    """The settings with servers that answer: MongoDB and Redis of the home where none are given.

    Does nothing where MongoDB is given. Raises ConfigError where another run uses the home or a server cannot be had.
    """
    if settings.mongo_db_uri.get_secret_value():
        yield settings
        return
    with locked(settings.greenpower_home), ExitStack() as stack:
        end_stale_processes(settings.greenpower_home)
        parts, addresses = choose_parts(settings.model_copy(update={"mqtt_broker": NO_BROKER}), lambda text: None)
        for part in parts:
            stack.enter_context(part)
        values = {name.lower(): SecretStr(value) for name, value in addresses.items()}
        yield settings.model_copy(update=values)
