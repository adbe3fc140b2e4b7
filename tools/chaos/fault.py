"""The faults: what befalls the stack, each ended again before the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from tools.chaos.stack import Stack

Strike = Callable[[Stack, Random], None]
LONGEST_FREEZE = 6.0
WORKER_FREEZE = 20.0  # longer than its lock
FULL_SECONDS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that may befall. quick: part of the short cut.

    needs_disk: only where a small disk can be mounted. needs_postgres: only where the SQL server is the stack's own.
    """

    name: str
    strike: Strike
    quick: bool = False
    needs_disk: bool = False
    needs_postgres: bool = False


def _kill(name: str, stack: Stack, random: Random) -> None:
    stack.kill(name)
    time.sleep(random.uniform(0, 1.5))
    stack.start(name)


def _kill_postgres(stack: Stack, random: Random) -> None:
    stack.kill_postgres()
    time.sleep(random.uniform(0, 1.5))
    assert stack.postgres is not None
    stack.postgres.ensure_postgres_running()


def _restart_broker(stack: Stack, random: Random) -> None:
    stack.mosquitto.stop()
    time.sleep(random.uniform(0, 1.5))
    stack.mosquitto.start()


def _freeze(name: str, longest: float, stack: Stack, random: Random) -> None:
    thaw = stack.freeze(name)
    time.sleep(random.uniform(longest / 6, longest))
    thaw()


def _freeze_and_replace(stack: Stack, random: Random) -> None:
    """A worker is taken for dead and replaced, and then it wakes up beside the other one and goes on."""
    old = stack.services["worker"]
    thaw = stack.freeze("worker")
    time.sleep(random.uniform(0, 2))
    stack.start("worker")
    time.sleep(random.uniform(1, LONGEST_FREEZE))
    thaw()
    time.sleep(2)
    old.kill()


def _cut(name: str, stack: Stack, random: Random) -> None:
    stack.links[name].cut()
    time.sleep(random.uniform(0.5, 4))
    stack.links[name].heal()


def _silence(name: str, stack: Stack, random: Random) -> None:
    stack.links[name].silence()
    time.sleep(random.uniform(1, LONGEST_FREEZE))
    stack.links[name].heal(hang_up=random.random() < 0.5)


def _slow(name: str, stack: Stack, random: Random) -> None:
    stack.links[name].slow(random.uniform(0.01, 0.05))
    time.sleep(random.uniform(2, LONGEST_FREEZE))
    stack.links[name].heal()


def _fill_disk(stack: Stack, random: Random) -> None:
    """mongod ends itself when it cannot write its journal; it is started once there is room again, as operators do."""
    assert stack.disk is not None
    end = time.monotonic() + FULL_SECONDS
    while stack.mongod.alive and time.monotonic() < end:
        stack.disk.fill()
        time.sleep(0.2)
    stack.disk.empty()
    if not stack.mongod.alive:
        stack.mongod.kill()
        stack.mongod.start()


FAULTS = (
    Fault(name="kill -9 ingest", strike=partial(_kill, "ingest"), quick=True),
    Fault(name="kill -9 mongod", strike=partial(_kill, "mongod"), quick=True),
    Fault(name="kill -9 Valkey", strike=partial(_kill, "valkey"), quick=True),
    Fault(name="kill -9 worker", strike=partial(_kill, "worker"), quick=True),
    Fault(name="kill -9 realtime", strike=partial(_kill, "realtime"), quick=True),
    Fault(name="kill -9 scheduler", strike=partial(_kill, "scheduler")),
    Fault(name="kill -9 PostgreSQL", strike=_kill_postgres, needs_postgres=True),
    Fault(name="broker stopped, started", strike=_restart_broker, quick=True),
    Fault(name="ingest frozen", strike=partial(_freeze, "ingest", LONGEST_FREEZE), quick=True),
    Fault(name="mongod frozen", strike=partial(_freeze, "mongod", LONGEST_FREEZE)),
    Fault(name="Valkey frozen", strike=partial(_freeze, "valkey", LONGEST_FREEZE)),
    Fault(name="broker frozen", strike=partial(_freeze, "broker", LONGEST_FREEZE)),
    Fault(name="worker frozen", strike=partial(_freeze, "worker", WORKER_FREEZE)),
    Fault(name="worker frozen, replaced", strike=_freeze_and_replace),
    Fault(name="devices cut off", strike=partial(_cut, "devices"), quick=True),
    Fault(name="ingest - broker cut", strike=partial(_cut, "mqtt")),
    Fault(name="ingest - broker silent", strike=partial(_silence, "mqtt")),
    Fault(name="ingest - broker slow", strike=partial(_slow, "mqtt")),
    Fault(name="MongoDB cut off", strike=partial(_cut, "mongo")),
    Fault(name="MongoDB silent", strike=partial(_silence, "mongo")),
    Fault(name="MongoDB slow", strike=partial(_slow, "mongo")),
    Fault(name="MongoDB's disk full", strike=_fill_disk, needs_disk=True),
)


def choose(count: int, random: Random, stack: Stack, *, quick: bool) -> list[Fault]:
    """So many faults in random order, each kind as often as the others, or once more."""
    small = stack.disk is not None and not stack.disk.reason
    kinds = [
        fault
        for fault in FAULTS
        if (fault.quick or not quick)
        and (small or not fault.needs_disk)
        and (stack.postgres or not fault.needs_postgres)
    ]
    chosen: list[Fault] = []
    while len(chosen) < count:
        chosen += random.sample(kinds, len(kinds))
    return chosen[:count]
