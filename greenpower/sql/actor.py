"""Who acts: the user, the API key, the console or the system itself whose change is being made.

What belongs here: who it is, kept beside the work of a thread or task. What does not: finding out who calls the API
(`greenpower.api.http.auth`), what is written about a change (`greenpower.sql.audit`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """What acts."""

    USER = "user"
    KEY = "key"
    CONSOLE = "console"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts. name: of the user, `key-…`, `cli:` and the user of the machine, or `system`. address: of the caller."""

    kind: ActorKind
    name: str
    address: str | None = None


SYSTEM_ACTOR = Actor(kind=ActorKind.SYSTEM, name="system")
_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


def current_actor() -> Actor | None:
    """Who acts; None for background work, which no person asked for."""
    return _actor.get()


def set_actor(actor: Actor | None) -> None:
    """Set who acts from now on, in this thread or task."""
    _actor.set(actor)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Within it, this actor acts."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)
