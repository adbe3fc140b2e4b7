"""Ids: unique in a process, over its forks and beside those of ObjectId; in order of their seconds."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from threading import Thread

from bson import ObjectId

from greenpower.mongo.ids import new_id

MANY = 20_000


def test_ids_are_unique_in_all_threads() -> None:
    found: list[ObjectId] = []
    threads = [Thread(target=lambda: found.extend([new_id() for _ in range(MANY)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({*found, *(ObjectId() for _ in range(MANY))}) == 5 * MANY


def test_a_fork_makes_others() -> None:
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe()

    def make(pipe: Connection) -> None:
        pipe.send([new_id() for _ in range(100)])

    child = context.Process(target=make, args=(its,))
    child.start()
    theirs = set(mine.recv())
    child.join()
    assert not theirs & {new_id() for _ in range(100)}
    assert len({each.binary[4:9] for each in theirs} | {new_id().binary[4:9]}) == 2


def test_an_id_tells_its_time() -> None:
    now = datetime.now(UTC)
    assert timedelta(seconds=-1) <= new_id().generation_time - now <= timedelta(seconds=1)
