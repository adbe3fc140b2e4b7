"""Exports to readers that hang up, dawdle or fall silent: no thread, no slot and no cursor stays behind."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pymongo import MongoClient

from greenpower.cli.init import init_sql
from greenpower.config import Settings
from tests.process import environment
from tests.wait import wait_until

URL = "/api/telemetry/rt-data/export/"
ROWS = 40_000
# A reader that takes less than this many bytes per second, over so long, is shut out.
RATE, ANSWER_SECONDS = 1024, 5


class Served:
    """`greenpower api` with two workers over a collection that is far larger than any buffer."""

    def __init__(
        self, settings: Settings, process: subprocess.Popen[bytes], client: MongoClient[Any], log: Path
    ) -> None:
        self.settings = settings
        self.process = process
        self.mongo = client
        self.log = log
        self.base = f"http://127.0.0.1:{settings.api_port}"
        self.headers: dict[str, str] = {}

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(self.base + "/api/ready/", timeout=60).status_code == 200
        except httpx.TransportError:
            return False

    def log_in(self) -> None:
        body = {"username": "admin", "password": "correct horse"}
        tokens = httpx.post(self.base + "/api/users/token/", json=body, timeout=60).json()
        self.headers = {"Authorization": f"Bearer {tokens['access']}"}

    def start(self) -> socket.socket | None:
        """A connection on which an export has begun, of which a little was read; None where it was refused."""
        connection = socket.create_connection(("127.0.0.1", self.settings.api_port), timeout=60)
        lines = [f"GET {URL} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in self.headers.items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        head = connection.recv(8192)
        if b" 200 " in head.splitlines()[0]:
            return connection
        assert b" 429 " in head.splitlines()[0]
        connection.close()
        return None

    def cursors(self) -> int:
        """The cursors on the readings that are open at the server."""
        pipeline: list[dict[str, Any]] = [
            {"$currentOp": {"idleCursors": True}},
            {"$match": {"ns": f"{self.settings.mongo_db_name}.grid_rt_data"}},
        ]
        return len(list(self.mongo.admin.aggregate(pipeline)))

    def whole(self) -> bool:
        """Whether an export can be read to its end."""
        with httpx.stream("GET", self.base + URL, headers=self.headers, timeout=30) as response:
            return response.status_code == 200 and sum(1 for _ in response.iter_lines()) == ROWS

    def threads(self) -> int:
        workers = psutil.Process(self.process.pid).children()
        return sum(worker.num_threads() for worker in workers)


pytestmark = pytest.mark.slow


@pytest.fixture
def served(settings: Settings, tmp_path: Path) -> Iterator[Served]:
    settings = settings.model_copy(update={"api_answer_rate": RATE, "api_answer_seconds": ANSWER_SECONDS})
    init_sql(settings)
    with MongoClient[Any](settings.need("MONGO_DB_URI")) as client:
        stamp = datetime.now(UTC) - timedelta(days=1)
        client[settings.mongo_db_name]["grid_rt_data"].insert_many(
            [
                {
                    "device_id": f"M{number % 10}",
                    "topic": "T",
                    "timestamp": stamp + timedelta(seconds=number),
                    "updated_at": stamp,
                    "payload": {f"f{field}": number / (field + 1) for field in range(30)},
                }
                for number in range(ROWS)
            ]
        )
        log = (tmp_path / "api.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "greenpower", "api"], env=environment(settings), stdout=log, stderr=subprocess.STDOUT
        )
        found = Served(settings, process, client, tmp_path / "api.log")
        try:
            wait_until(found.ready, 30)
            found.log_in()
            yield found
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
            log.close()


def test_who_hangs_up_leaves_nothing_behind(served: Served) -> None:
    assert served.whole()
    begun = 0
    for _ in range(7):
        connections = [served.start() for _ in range(3)]
        begun += sum(connection is not None for connection in connections)
        for connection in connections:
            if connection is not None:
                connection.close()
    assert begun >= 10
    wait_until(lambda: served.cursors() == 0, 20)
    # All slots of both workers are free again: more in a row than there are.
    assert all(wait_until(served.whole, 20) for _ in range(7))
    assert served.threads() <= 2 * (8 + 12)


def test_slow_and_silent_readers_do_not_hold_up_others_and_lose_their_thread(served: Served) -> None:
    held = [connection for connection in (served.start() for _ in range(12)) if connection is not None]
    assert len(held) >= 3
    try:
        # A slow reader is one that reads: it goes on while the silent ones are shut out.
        slow = held.pop()
        # The others are served meanwhile, by both workers.
        path = "/api/telemetry/rt-data/?device_id=M1"
        for _ in range(20):
            assert httpx.get(served.base + path, headers=served.headers, timeout=30).status_code == 200
            assert slow.recv(1 << 18)
        wait_until(lambda: slow.recv(1 << 17) and served.cursors() <= 1, 60, every=0.1)
        with closing(slow):
            end = b""
            while not end.endswith(b"\r\n0\r\n\r\n"):
                data = slow.recv(1 << 20)
                assert data, "cut off"
                end = (end + data)[-7:]
    finally:
        for connection in held:
            connection.close()
    wait_until(lambda: served.cursors() == 0, 20)
    assert wait_until(served.whole, 20)
