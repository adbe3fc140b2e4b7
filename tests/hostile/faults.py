"""A whole `greenpower up` to strike: its processes, its database, its address."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pymongo
from dotenv import dotenv_values
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from greenpower.config import run_file
from tests.hostile.others import Others
from tests.ingest.conftest import frame
from tests.stack.up import Up, running
from tests.wait import wait_until
from tools.chaos.sender import Sender

# A word among the arguments of each process.
WORDS = {"mongod": "--dbpath", "broker": "mosquitto.conf", "valkey": "valkey-server", "ingest": "ingest"}
BACK_SECONDS = 60
CLOSE_SECONDS = 1
SEND_SECONDS, FRAMES_AT_ONCE = 0.05, 10


class Struck:
    """A stack that runs, without simulator. `base`: where its API is."""

    def __init__(self, up: Up, home: Path) -> None:
        self.up, self.home = up, home
        up.line("ready")
        told = {name: str(value) for name, value in dotenv_values(run_file(home), interpolate=False).items()}
        self.uri = told["MONGO_DB_URI"]
        self.broker = told["MQTT_BROKER"], int(told["MQTT_PORT"])
        self.base = f"http://127.0.0.1:{told['API_PORT']}"
        self.ingest = f"http://127.0.0.1:{told['INGEST_HTTP_PORT']}"

    def processes(self, name: str) -> list[psutil.Process]:
        """The children that are this process; more than one is a fault."""
        found = []
        for child in psutil.Process(self.up.process.pid).children():
            with contextlib.suppress(psutil.Error):
                if any(WORDS[name] in word.split("/")[-1].split(" ") for word in child.cmdline()):
                    found.append(child)
        return found

    def process(self, name: str) -> psutil.Process:
        """The one process of this name; waits for it."""
        [found] = wait_until(lambda: self.processes(name), BACK_SECONDS)
        return found

    def kill(self, name: str) -> None:
        """kill -9."""
        os.kill(self.process(name).pid, signal.SIGKILL)

    def answers(self) -> bool:
        """Whether MongoDB does."""
        try:
            with MongoClient[Any](self.uri, serverSelectionTimeoutMS=300, socketTimeoutMS=500) as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True


@contextlib.contextmanager
def struck(home: Path, **settings: str) -> Iterator[tuple[Struck, Database[dict[str, Any]]]]:
    """A stack that runs in a home, and its database. Each frame of `Meters` is of another device: all are taken."""
    with running(home, "--no-simulator", DEVICE_UNCONFIRMED_MAX="0", **settings) as up:
        stack = Struck(up, home)
        client = MongoClient[dict[str, Any]](stack.uri, tz_aware=True, serverSelectionTimeoutMS=60_000)
        try:
            yield stack, client["green_power"]
        finally:
            # It takes leave of its server, and a stack that the test has ended has none: it would look for it until
            # its own timeout.
            with pymongo.timeout(CLOSE_SECONDS):
                client.close()


class Meters:
    """While it is entered, meters send frames with QoS 1, each its own, and note which the broker acknowledged."""

    def __init__(self, broker: tuple[str, int], db: Database[dict[str, Any]], prefix: str = "33H") -> None:
        self._db = db
        self._prefix = prefix
        self._port = broker[1]
        self._acknowledged: list[tuple[str, str]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    @property
    def acknowledged(self) -> int:
        return len(self._acknowledged)

    def wait_until_taken(self) -> None:
        """Wait until ingest takes what the broker takes from now on.

        What a killed broker took since its last save is nowhere but in ingest, so it is lost where ingest has not
        connected again after the round before: that is no fault of ingest.
        """
        before = len(self._acknowledged)
        wait_until(lambda: len(self._acknowledged) > before, BACK_SECONDS)
        newest = self._acknowledged[-1][0]
        wait_until(lambda: newest in self._readings(), BACK_SECONDS)

    def check(self, timeout: float = 60) -> None:
        """End, and hold that each frame that the broker acknowledged has its reading and its event."""
        self._ending.set()
        self._thread.join()
        sent = dict(self._acknowledged)
        assert sent and len(sent) == len(self._acknowledged)
        with contextlib.suppress(AssertionError):
            wait_until(
                lambda: sent.keys() <= self._readings() and sent.keys() <= self._events().keys(), timeout, every=1
            )
        readings, events = self._readings(), self._events()
        no_reading, no_event = sent.keys() - readings, sent.keys() - events.keys()
        print(
            f"frames: {len(sent)} acknowledged, {len(no_reading)} without reading, {len(no_event)} without event, "
            f"{events.total() - len(events)} events too many"
        )
        assert not no_reading, sorted(no_reading)[:5]
        assert not no_event, sorted(no_event)[:5]

    def _readings(self) -> set[str]:
        found = self._db.grid_rt_data.find({"device_id": {"$regex": f"^{self._prefix}"}}, {"device_id": 1})
        return {document["device_id"] for document in found}

    def _events(self) -> Counter[str]:
        found = self._db.telemetry_events.find({"device_id": {"$regex": f"^{self._prefix}"}}, {"device_id": 1})
        return Counter(document["device_id"] for document in found)

    def _run(self) -> None:
        sender = Sender(self._port, f"meters-{self._prefix}")
        number = 0
        while not self._ending.wait(SEND_SECONDS):
            for _ in range(FRAMES_AT_ONCE):
                device = f"{self._prefix}{number:010d}"
                sender.send("MQTT_RT_DATA", json.dumps(frame(device)), (device, ""))
                number += 1
            self._acknowledged += sender.acked()
        end = time.monotonic() + BACK_SECONDS
        while sender.outstanding and time.monotonic() < end:
            self._acknowledged += sender.acked()
            time.sleep(SEND_SECONDS)
        sender.close()


def check_answers(others: Others, limit: float = 1.0) -> None:
    """Hold that everybody was answered in time. While a database is away the answer says so; that is one."""
    others.end()
    silent = [text for text in others.failures if not text.startswith(("503 ", "429 "))]
    print(f"others: {len(others.seconds)} asked, p99 {others.p99:.3f} s, {len(others.failures)} not 200, {silent[:3]}")
    print("slowest:", [round(one, 2) for one in sorted(others.seconds)[-20:]])
    assert not silent, silent[:5]
    others.check_p99(limit)
