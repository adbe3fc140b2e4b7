"""A `greenpower up` as its operator has it: a process on free ports, its output, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from greenpower.stack.port import free_port
from greenpower.stack.stack import PORTS
from tests.wait import wait_until

READY_SECONDS = 60
# What `make test ARGS=…` hands to its children: a `make` among them would take it for its own.
OF_MAKE = {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}


class Up:
    """A `greenpower up` on free ports in a home of its own."""

    command: Sequence[str] = (sys.executable, "-m", "greenpower", "up")

    def __init__(self, home: Path, *arguments: str, **settings: str) -> None:
        names = {"MONGO_DB_URI", "REDIS_URL", "REDIS_HOST", "MQTT_BROKER", "DATABASE_URL", "ADMIN_PASSWORD"}
        names |= OF_MAKE
        environment = {name: value for name, value in os.environ.items() if name not in names}
        environment |= {name: str(free_port()) for name, _, _ in PORTS}
        self.environment = (
            environment
            | {
                "TCP_LINES_TOKEN": "lines",
                "GREENPOWER_HOME": str(home),
                "DEVICE_TIMEZONE": "Asia/Dhaka",
            }
            | settings
        )
        self.process = subprocess.Popen(
            [*self.command, *arguments],
            cwd=home.parent,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def line(self, start: str) -> str:
        """The first line that starts so; waits for it."""

        def found() -> str | None:
            line = next((line for line in self.lines if line.startswith(start)), None)
            assert line or self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text}"
            return line

        try:
            return str(wait_until(found, READY_SECONDS))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None

    def interrupt(self) -> int:
        """Ctrl-C, and the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.process.poll() is None:
                self.process.terminate()
        self.process.wait(60)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def running(home: Path, *arguments: str, **settings: str) -> Iterator[Up]:
    up = Up(home, *arguments, **settings)
    try:
        yield up
    finally:
        up.end()
