"""A client that minds its own business while a test attacks: how long it waits for its answers."""

from __future__ import annotations

import http.client
import math
import threading
import time
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

from tests.wait import LONGEST_STRETCH, busy

READY = "/api/ready/"
PAUSE_SECONDS = 0.1
# A poll that has no answer by then has failed.
POLL_SECONDS = 15.0
P99_SECONDS = 1.0


class Others:
    """While it is entered, `GET path` is asked again and again, each time on a connection of its own.

    The path is `/api/ready/` unless another is given. base: such as `http://127.0.0.1:8000`. `seconds`: how long each
    answer took, those that failed included; `failures`: what came instead of 200, one text each.
    """

    def __init__(self, base: str, path: str = READY, *, address: str = "") -> None:
        parts = urlsplit(base)
        assert parts.hostname is not None
        self.host, self.port, self.path = parts.hostname, parts.port or 80, path
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self._from = (address, 0) if address else None
        self._busiest = busy()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ask no more. May be called again."""
        self._ending.set()
        self._thread.join()

    def go_on(self, seconds: float) -> None:
        """Let others ask for so long, while what is held is held."""
        asked = len(self.seconds)
        self._ending.wait(seconds)
        assert len(self.seconds) > asked, "nobody was answered meanwhile"

    def keep(self, condition: Callable[[], bool], seconds: float) -> None:
        """Let others ask for so long, and hold that a condition stays true."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert condition()
            self._ending.wait(PAUSE_SECONDS)

    @property
    def p99(self) -> float:
        """Seconds within which 99 of 100 were answered; of less than a hundred, all."""
        assert self.seconds, "nobody asked"
        return sorted(self.seconds)[math.ceil(0.99 * len(self.seconds)) - 1]

    def check(self, limit: float = P99_SECONDS) -> None:
        """End, and hold that nobody failed and the p99 is below a limit. A machine with other work may take longer."""
        self.end()
        print(f"others: {len(self.seconds)} asked, p99 {self.p99:.3f} s, {len(self.failures)} failed")
        assert not self.failures, self.failures[:5]
        self.check_p99(limit)

    def check_p99(self, limit: float = P99_SECONDS) -> None:
        """Hold that the p99 is below a limit, which a machine with other work stretches."""
        stretch = min(max(self._busiest, busy()), LONGEST_STRETCH)
        slowest = [round(one, 2) for one in sorted(self.seconds)[-20:]]
        assert self.p99 < limit * stretch, f"p99 {self.p99:.3f} s, stretch {stretch:.2f}, slowest {slowest}"

    def _run(self) -> None:
        while not self._ending.is_set():
            began = time.monotonic()
            problem = self._ask()
            self.seconds.append(time.monotonic() - began)
            if problem:
                self.failures.append(problem)
            self._busiest = max(self._busiest, busy())
            self._ending.wait(PAUSE_SECONDS)

    def _ask(self) -> str:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=POLL_SECONDS, source_address=self._from)
        try:
            connection.request("GET", self.path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
            return "" if response.status == 200 else f"{response.status} {body[:200]!r}"
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
