"""Frames that meters send while a test attacks, and what became of each."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pymongo.database import Database

from tests.ingest.conftest import Publisher, frame
from tests.wait import wait_until

METERS = 5
PAUSE_SECONDS = 0.1


class Frames:
    """While it is entered, meters send a frame each ten times per second, with QoS 1, each with a stamp of its own.

    db: where ingest stores them; nobody else may store rt readings there. `check` ends it and holds that each frame
    that the broker acknowledged has a reading and an event.
    """

    def __init__(self, host: str, port: int, db: Database[dict[str, Any]]) -> None:
        self.sent = 0
        self._db = db
        self._publisher = Publisher(host, port)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._publisher.close()

    def check(self, timeout: float = 30) -> None:
        """End, and hold that nothing was lost."""
        self._ending.set()
        self._thread.join()
        self._publisher.flush()
        assert self.sent
        wait_until(lambda: self.readings() >= self.sent and self.events() >= self.sent, timeout, every=0.2)
        print(f"frames: {self.sent} acknowledged, {self.readings()} readings, {self.events()} events")
        assert self.readings() == self.sent

    def readings(self) -> int:
        """How many readings are stored."""
        return self._db.grid_rt_data.count_documents({})

    def events(self) -> int:
        """How many events of frames that were stored there are."""
        return self._db.telemetry_events.count_documents({"topic": "MQTT_RT_DATA", "outcome": "stored"})

    def _run(self) -> None:
        newest, second = datetime.now(UTC).replace(microsecond=0), 0
        while not self._ending.wait(PAUSE_SECONDS):
            stamp, hertz = newest - timedelta(seconds=second), 50 + second % 1000 / 1000
            for meter in range(METERS):
                self._publisher.send("MQTT_RT_DATA", frame(f"33B000000000{meter}", stamp, f=hertz))
                self.sent += 1
            second += 1
