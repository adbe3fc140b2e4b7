"""A part: one server process on loopback with its data in a directory of its own.

What belongs here: its life (start, stop, kill, pause, restart on the same port and data). What does not: its binary and
options, which are in the module of each part; keeping it alive, which the supervisor does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from greenpower.broken_file import clear_place
from greenpower.config import ConfigError
from greenpower.stack.port import LOOPBACK, free_port
from greenpower.stack.spawn import die_with_parent
from greenpower.stack.store import Store

POLL_SECONDS = 0.02
LOG_TAIL_BYTES = 400


class Part(ABC):
    """A server of the embedded stack. Subclasses say what to run and how to see that it answers.

    `port` 0 chooses a free one, kept for the life of this object. Start it from a thread that outlives it (see
    `die_with_parent`).
    """

    name: ClassVar[str]
    setting: ClassVar[str]  # names a server to use instead
    noise: ClassVar[tuple[str, ...]] = ()  # lines with these texts are hidden: they do not concern an embedded part

    def __init__(self, home: Path, port: int = 0) -> None:
        self.home = home
        self.host = LOOPBACK
        self.port = port or free_port()
        self.store: Store | None = None  # its data, where that may be set aside when it is broken
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The command line. Raises ConfigError if the binary cannot be had."""

    def environment(self) -> Mapping[str, str]:
        """Additions to the environment."""
        return {}

    def prepare(self) -> None:
        """Make the home and the files that the process needs in it. Raises ConfigError where it is no folder."""
        make_folder(self.home)

    def written(self) -> list[Path]:
        """The files that `prepare` writes."""
        return []

    def before_start(self) -> list[str]:
        """Set aside what is broken, and prepare. Returns lines for the operator. Raises ConfigError."""
        lines = [line for path in self.written() for line in clear_place(path)]
        if self.store is not None:
            lines += self.store.set_aside_broken()
        self.prepare()
        return lines

    def answered(self) -> None:
        """It answers for the first time since it was started."""
        if self.store is not None:
            self.store.answered()

    def hopeless(self, code: int) -> str:
        """It ended with this code before it answered: why another start is no use, for the operator; else empty."""
        return ""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server answers a real request now; takes a second at most."""

    def show(self, line: str) -> str:
        """A line of its output as the operator should see it; empty to hide it."""
        if self.store is not None:
            self.store.hear(line)
        return "" if any(piece in line for piece in self.noise) else line

    @property
    def log_file(self) -> Path:
        """Its output, when started by `start`."""
        return self.home / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Process id. Raises RuntimeError when it is not running."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 30) -> Self:
        """Start it and wait until it answers. Raises ConfigError with the end of its log when it does not."""
        if self.alive:
            return self
        self.prepare()
        with self.log_file.open("ab") as log:
            process = self._process = subprocess.Popen(
                self.command(),
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        end = time.monotonic() + timeout
        while not self.answers():
            code = process.poll()
            if code is not None or time.monotonic() > end:
                how = "does not answer" if code is None else f"ended with exit code {code}"
                self.kill()
                raise ConfigError(f"{self.name} {how} on port {self.port}: {self._log_tail()}")
            time.sleep(POLL_SECONDS)
        return self

    def stop(self, timeout: float = 20) -> None:
        """Ask it to end and wait; kill it after `timeout` seconds. Does nothing when it is not running."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a paused process does not see SIGTERM
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self) -> Self:
        """Stop and start, same port, same data."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _log_tail(self) -> str:
        text = self.log_file.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        return " / ".join(text.split("\n")[-4:]).strip(" /")


def make_folder(path: Path) -> None:
    """Make a folder of the home. Raises ConfigError where that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(f"{path} is no folder: move it away") from None
