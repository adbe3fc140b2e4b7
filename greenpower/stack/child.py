"""A child process of the supervisor, as data: what to run and how to see that it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from greenpower.stack.fork_server import ForkServer
from greenpower.stack.part import Part

PART_STOP_SECONDS = 60.0  # a part writes its data when it stops: a broker with a long queue on a slow disk


def _always_answers(pid: int) -> str:
    return ""


def _nothing_before() -> list[str]:
    return []


def _never_hopeless(code: int) -> str:
    return ""


def _never_silent(pid: int) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process that the supervisor keeps alive.

    `trouble` gets the process id and returns why the process does not answer yet, empty when it does. It runs in a
    thread and takes a few seconds at most. `silent` is called in the same way after the first answer, and returns
    whether the process has stopped answering; one that stays silent is killed and restarted. `show` turns a line of
    output into the line that the operator sees, empty to hide it. `before` runs in a thread before each start and
    returns lines for the operator; ConfigError from it, or a text of `hopeless` (which gets the exit code of a process
    that ended before it answered) means that another start is no use. `stop_seconds` is the time it has to end before
    it is killed. `fork_server`: what it is forked from with `arguments`, instead of running `command`.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    trouble: Callable[[int], str] = _always_answers
    silent: Callable[[int], bool] = _never_silent
    show: Callable[[str], str] = str
    before: Callable[[], list[str]] = _nothing_before
    hopeless: Callable[[int], str] = _never_hopeless
    stop_seconds: float = 10.0
    fork_server: ForkServer | None = None
    arguments: tuple[str, ...] = ()


def part_child(part: Part) -> Child:
    """A part as a child of the supervisor. Raises ConfigError if its binary cannot be had."""

    def trouble(pid: int) -> str:
        if not part.answers():
            return f"no answer on {part.host}:{part.port}"
        part.answered()
        return ""

    return Child(
        name=part.name,
        command=tuple(part.command()),
        environment=part.environment(),
        trouble=trouble,
        show=part.show,
        before=part.before_start,
        hopeless=part.hopeless,
        stop_seconds=PART_STOP_SECONDS,
    )
