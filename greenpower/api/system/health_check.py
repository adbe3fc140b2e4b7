"""Checks of the parts that the API leans on: each bounded in time, none ever run twice at once.

What belongs here: how a part is asked. What does not: what an answer means for
a caller (`greenpower.api.system.health`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import dataclass, field
from threading import Lock, Thread

import pymongo
from redis import Redis
from sqlalchemy import Engine

from greenpower.mongo.handle import Mongo
from greenpower.sql.setup import current_revision

SECONDS = 2.0


class Unwell(Exception):
    """A part answered, and not well. The text goes to the caller, so it holds no secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found. detail: for people, free of secrets."""

    ok: bool
    detail: str = ""
    milliseconds: float = 0.0


@dataclass(slots=True)
class Check:
    """One part. A probe that hangs is waited for by all who ask; no second one is started beside it."""

    name: str
    probe: Callable[[], None]
    _lock: Lock = field(default_factory=Lock)
    _running: Future[Finding] | None = None

    def start(self) -> Future[Finding]:
        """Begin, or join what another caller began."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                Thread(target=self._run, args=(self._running,), daemon=True, name=f"check-{self.name}").start()
            return self._running

    def _run(self, future: Future[Finding]) -> None:
        began = time.monotonic()
        try:
            self.probe()
            ok, detail = True, ""
        except Unwell as error:
            ok, detail = False, str(error)
        except Exception as error:  # whatever a driver raises, the part is unwell; its text may name users and hosts
            ok, detail = False, f"does not answer ({type(error).__name__})"
        future.set_result(Finding(ok=ok, detail=detail, milliseconds=round((time.monotonic() - began) * 1000, 1)))


def run_checks(checks: Iterable[Check]) -> dict[str, Finding]:
    """Run checks side by side; after `SECONDS` what has not answered is unwell."""
    started = {check.name: check.start() for check in checks}
    deadline = time.monotonic() + SECONDS
    found = {}
    for name, future in started.items():
        try:
            found[name] = future.result(max(0.0, deadline - time.monotonic()))
        except NoAnswer:
            found[name] = Finding(ok=False, detail=f"no answer within {SECONDS:g} s", milliseconds=SECONDS * 1000)
    return found


def check_mongo(mongo: Mongo) -> Check:
    """Whether the telemetry database answers."""

    def probe() -> None:
        with pymongo.timeout(SECONDS):
            mongo.database.command("ping")

    return Check("mongo", probe)


def check_sql(engine: Engine, expected: str | None) -> Check:
    """Whether the user database answers and has been set up."""

    def probe() -> None:
        with engine.connect() as connection:
            revision = current_revision(connection)
        if revision != expected:
            raise Unwell(f"is at revision {revision}, the code at {expected}: run `greenpower init`")

    return Check("sql", probe)


def check_redis(url: str) -> Check:
    """Whether Redis answers."""

    def probe() -> None:
        with Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
            client.ping()

    return Check("redis", probe)
