"""Bench of a stack that has nothing to do: memory and processor of `greenpower up`, and its time to the first value.

Memory is the proportional set size (PSS) of the supervisor and all its descendants: pages that processes share count
once. `python -m tools.bench.idle` prints a table by process.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import psutil

from greenpower.stack.port import free_port
from greenpower.stack.stack import PORTS
from tests.wait import wait_until

Report = dict[str, Any]

PASSWORD = "idle-bench-2c41"
START_SECONDS = 120
LIST = "/api/telemetry/rt-data/"
# Settings that would lead to other servers than those of the stack.
OTHERS = ("MONGO_DB_URI", "REDIS_URL", "REDIS_HOST", "MQTT_BROKER", "DATABASE_URL", "GREENPOWER_SITE")


def run(quick: bool = True) -> Report:
    """{"first_value_s", "ready_s", "idle": […]}. By span: `after_s`, `memory_mb` and `cpu` (share of one core), both
    in all and by process. Short: after a minute. Long: after ten too."""
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
        found: Report = first_value(Path(folder) / "first")
        found["idle"] = idle(Path(folder) / "idle", (60.0,) if quick else (60.0, 600.0))
    return found


def first_value(home: Path) -> Report:
    """Seconds from the start in an empty home to the ready line, and until the API lists a simulated reading."""
    began = time.monotonic()
    with Stack(home) as stack:
        wait_until(stack.lists_readings, START_SECONDS)
        first = time.monotonic() - began
        wait_until(lambda: stack.ready_at, START_SECONDS)
        return {"first_value_s": first, "ready_s": stack.ready_at - began}


def idle(home: Path, spans: tuple[float, ...]) -> list[Report]:
    """Memory at the end of each span after the ready line, and processor time since the last one."""
    found = []
    with Stack(home, "--no-simulator") as stack:
        wait_until(lambda: stack.ready_at, START_SECONDS)
        began, used = time.monotonic(), stack.processor_seconds()
        last = 0.0
        for span in spans:
            time.sleep(max(0.0, began + span - time.monotonic()))
            now, memory = stack.processor_seconds(), stack.memory_mb()
            cpu = {name: (now[name] - used.get(name, 0.0)) / (span - last) for name in now}
            found.append(
                {
                    "after_s": span,
                    "memory_mb": sum(memory.values()),
                    "cpu": sum(cpu.values()),
                    "memory_by_process": memory,
                    "cpu_by_process": cpu,
                }
            )
            used, last = now, span
    return found


class Stack:
    """A `greenpower up` on free ports. `ready_at`: when its ready line came, 0 before."""

    def __init__(self, home: Path, *arguments: str) -> None:
        ports = {name: str(free_port()) for name, _, _ in PORTS}
        environment = {name: value for name, value in os.environ.items() if name not in OTHERS} | ports
        environment |= {"GREENPOWER_HOME": str(home), "ADMIN_USERNAME": "admin", "ADMIN_PASSWORD": PASSWORD}
        self.ready_at = 0.0
        self._token = ""
        self._api = httpx.Client(base_url=f"http://127.0.0.1:{ports['API_PORT']}", timeout=5)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "greenpower", "up", *arguments],
            cwd=home.parent,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._tree = psutil.Process(self._process.pid)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ready "):
                self.ready_at = time.monotonic()

    def lists_readings(self) -> bool:
        """Whether the API lists a reading."""
        try:
            if not self._token:
                given = {"username": "admin", "password": PASSWORD}
                self._token = self._api.post("/api/users/token/", json=given).raise_for_status().json()["access"]
            answer = self._api.get(LIST, headers={"Authorization": f"Bearer {self._token}"}, params={"page_size": 1})
            return bool(answer.raise_for_status().json()["results"])
        except (httpx.HTTPError, KeyError, ValueError):
            if self._process.poll() is not None:
                raise SystemExit(f"greenpower up ended with {self._process.returncode}") from None
            return False

    def _processes(self) -> list[tuple[str, psutil.Process]]:
        return [(_name(process), process) for process in (self._tree, *self._tree.children(recursive=True))]

    def memory_mb(self) -> dict[str, float]:
        """PSS in MB by process."""
        found: dict[str, float] = defaultdict(float)
        for name, process in self._processes():
            try:
                found[name] += process.memory_full_info().pss / 1e6
            except psutil.Error:  # a job's process that has just ended
                continue
        return dict(found)

    def processor_seconds(self) -> dict[str, float]:
        """Seconds used so far by process, with those of its children that have ended."""
        found: dict[str, float] = defaultdict(float)
        for name, process in self._processes():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            ended = 0.0 if process == self._tree else times.children_user + times.children_system
            found[name] += times.user + times.system + ended
        return dict(found)

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(90)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join(10)
        self._api.close()


def _name(process: psutil.Process) -> str:
    """A program's name, or the command of ours that a process runs."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return "ended"
    if words[1:3] == ["-m", "greenpower"]:
        return words[3]
    if words and words[0].startswith(("greenpower ", "gunicorn:")):
        return "api" if words[0].startswith("gunicorn") else words[0].split()[1].strip(":")
    if words[1:2] == ["-m"]:
        return words[2].rpartition(".")[2]
    # Valkey puts its address after its name.
    return Path(words[0].split()[0]).name if words and words[0] else "ended"


def table(report: Report) -> str:
    """The figures for a person."""
    lines = [f"ready after {report['ready_s']:.1f} s, first value after {report['first_value_s']:.1f} s"]
    for row in report["idle"]:
        lines.append(f"after {row['after_s']:.0f} s: {row['memory_mb']:.0f} MB, {row['cpu']:.1%} of a core")
        for name, memory in sorted(row["memory_by_process"].items(), key=lambda item: -item[1]):
            lines.append(f"  {name:<20}{memory:>8.1f} MB{row['cpu_by_process'].get(name, 0.0):>8.2%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.idle", description=__doc__)
    parser.add_argument("--full", action="store_true", help="look again after ten minutes")
    print(table(run(quick=not parser.parse_args().full)))


if __name__ == "__main__":
    main()
