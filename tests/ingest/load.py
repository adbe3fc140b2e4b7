"""Meters that do not cease to send, for tests of what happens meanwhile."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Self

from tests.ingest.conftest import Publisher, frame

METERS = 5
PAUSE = 0.01


class Load:
    """While it is entered, meters send frame after frame, QoS 1, each with another stamp. `sent`: how many."""

    def __init__(self, host: str, port: int) -> None:
        self.publisher = Publisher(host, port)
        self.sent = 0
        self._newest = datetime.now(UTC).replace(microsecond=0)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self.publisher.close()

    def end(self) -> int:
        """How many frames the broker took in all."""
        self._ending.set()
        self._thread.join()
        self.publisher.flush()
        return self.sent

    def _run(self) -> None:
        second = 0
        while not self._ending.wait(PAUSE):
            stamp, hertz = self._newest - timedelta(seconds=second), 50 + second % 1000 / 1000
            for meter in range(METERS):
                self.publisher.send("MQTT_RT_DATA", frame(f"33B000000000{meter}", stamp, f=hertz))
                self.sent += 1
            second += 1
