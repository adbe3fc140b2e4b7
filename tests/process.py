"""Running greenpower's commands as processes, seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
from pydantic import SecretStr

from greenpower.config import Settings
from tests.wait import wait_until

# Set by coverage for the processes of what it measures: its configuration, and another's file.
MEASURED, OTHER = "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"
# A process that hangs does not answer at all; one that a machine lets stand still does, later.
ANSWER_SECONDS = 5.0
GREEN = Path(__file__).parent / "realtime" / "coverage.cfg"


def freeze(pid: int) -> None:
    """SIGSTOP, and wait until all threads have stopped: until then they may answer."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(state == "T" for state in _thread_states(pid)))


def _thread_states(pid: int) -> list[str]:
    states = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            states.append((task / "stat").read_text().rpartition(") ")[2][0])
    return states


def environment(settings: Settings) -> dict[str, str]:
    """The environment that gives a process these settings."""
    env = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", MEASURED) if key in os.environ}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else "" if value is None else str(value)
        env[name.upper()] = text
    return env


class Command:
    """`greenpower ARGS` running with given settings; its log is in `log`. module: what runs instead of `greenpower`."""

    def __init__(
        self,
        settings: Settings,
        *args: str,
        folder: Path,
        env: dict[str, str] | None = None,
        module: str = "greenpower",
    ) -> None:
        self.settings = settings
        self.http_port = settings.realtime_port if args[0] == "realtime" else settings.ingest_http_port
        self.log = folder / f"{args[0]}-{os.urandom(3).hex()}.log"
        env = {**environment(settings), **(env or {})}
        if args[0] == "realtime" and env.pop(MEASURED, None) is not None:
            env[OTHER] = str(GREEN)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        if kind is not None:
            print(self.log.read_text()[-6000:])

    def end(self) -> None:
        """End it the quick way; if coverage is measured, so that it can write down which lines ran."""
        if MEASURED in os.environ and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
        self.kill()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def get(self, path: str, timeout: float = 60) -> httpx.Response:
        """GET from the HTTP port of ingest or of the realtime gateway."""
        return httpx.get(f"http://127.0.0.1:{self.http_port}{path}", timeout=timeout)

    def health(self) -> dict[str, Any]:
        """What ingest or the realtime gateway says of itself, empty while it does not answer."""
        try:
            report: dict[str, Any] = self.get("/health", ANSWER_SECONDS).json()
        except httpx.HTTPError:
            return {}
        return report

    def wait_healthy(self, timeout: float = 20) -> Command:
        """Wait until ingest says that all is well."""

        def healthy() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.health().get("status") == "ok"

        wait_until(healthy, timeout)
        return self

    def entries(self) -> list[dict[str, Any]]:
        """The lines of its log, where LOG_FORMAT=json."""
        whole = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in whole if line.startswith("{") and line.endswith("\n")]

    def wait_listening(self, *ports: int) -> Command:
        """Wait until the process listens on all these ports."""

        def listening() -> bool:
            found = psutil.Process(self.process.pid).net_connections("tcp")
            return {*ports} <= {item.laddr.port for item in found if item.status == psutil.CONN_LISTEN}

        wait_until(listening)
        return self

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        from prometheus_client.parser import text_string_to_metric_families

        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics").text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
