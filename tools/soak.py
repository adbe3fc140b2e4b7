"""`python -m tools.soak`: `greenpower up` for half an hour under load; what each process holds, and what was logged.

Prints a line a minute and in the end a table: the memory of each process, of the API's workers with it, of the jobs
that the worker forks apart, as medians of the minutes after the start and of the last ones, and its slope over the
later two thirds. Exit code 1 when a process grew by more than MOST_GROWTH, or was started again, when frames are
missing, or when anything was logged at warning or above.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from greenpower.config import run_file
from tests.stack.up import Up, running
from tests.wait import wait_until

MIB = 1 << 20
EVERY_SECONDS = 5.0
# What a process may hold more in the end than after its start: what its caches and its allocator take when warm.
MOST_GROWTH = 32 * MIB
# These keep data in memory by design, up to a bound: mongod its cache of 512 MiB beside what connections take.
BOUNDS = {"mongod": 1024 * MIB}
WARNINGS = re.compile(r"\b(WARNING|ERROR|CRITICAL|Traceback)\b|^mongod +\| [WEF] |\bwarning:")


class Soak:
    """Samples of one run. memory: seconds since the load began and bytes, by process."""

    def __init__(self, up: Up, home: Path) -> None:
        self.up, self.home = up, home
        self.memory: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self.pids: dict[str, set[int]] = defaultdict(set)
        self.began = time.monotonic()

    def look(self) -> None:
        """Take a sample of every child."""
        noted = json.loads(run_file(self.home).with_name("children.json").read_text())
        at = time.monotonic() - self.began
        for name, pid in {"up": (self.up.process.pid, 0), **noted}.items():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid[0])
                self.pids[name].add(pid[0])
                forked = [] if name == "up" else process.children(recursive=True)
                if name == "worker":
                    self.memory["a job"] += [(at, job.memory_info().rss) for job in forked]
                    forked = []
                self.memory[name].append((at, sum(each.memory_info().rss for each in (process, *forked))))

    def frames(self) -> dict[str, float]:
        """Frames by what became of them, as ingest counts them."""
        port = self.up.environment["INGEST_HTTP_PORT"]
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10, trust_env=False).text
        found: dict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "greenpower_frames_received_total":
                    found["received"] += sample.value
                elif sample.name == "greenpower_frames_total":
                    found[sample.labels["outcome"]] += sample.value
        return found

    @property
    def warnings(self) -> list[str]:
        return [line for line in self.up.lines if WARNINGS.search(line)]

    def table(self, seconds: float) -> tuple[Table, list[str]]:
        """The table, and what is not flat."""
        table = Table(box=None, header_style="bold")
        table.add_column("process")
        for title in ("MiB at first", "in the end", "at most", "MiB an hour"):
            table.add_column(title, justify="right")
        bad = []
        for name, samples in sorted(self.memory.items()):
            first = statistics.median(size for at, size in samples if seconds / 12 <= at <= seconds / 4)
            last = statistics.median(size for at, size in samples if at >= seconds * 5 / 6)
            later = [(at, size) for at, size in samples if at >= seconds / 3]
            slope = statistics.linear_regression(*zip(*later, strict=True)).slope * 3600
            most = max(size for _, size in samples)
            table.add_row(name, *(f"{size / MIB:.0f}" for size in (first, last, most)), f"{slope / MIB:+.1f}")
            if last - first > MOST_GROWTH and most > BOUNDS.get(name, 0):
                bad.append(f"{name} grew by {(last - first) / MIB:.0f} MiB")
            if len(self.pids[name]) > 1:
                bad.append(f"{name} was started {len(self.pids[name])} times")
        return table, bad


def soak(minutes: float, rate: float, devices: int) -> list[str]:
    """Run it. Returns what is wrong, empty when nothing is."""
    console, seconds = Console(width=None if sys.stdout.isatty() else 120), minutes * 60
    with tempfile.TemporaryDirectory(prefix="greenpower-soak-") as folder:
        home = Path(folder) / "home"
        with running(home, "--no-simulator", LOG_LEVEL="INFO") as up:
            up.line("ready")
            run = Soak(up, home)
            arguments = ("--devices", str(devices), "--rate", str(rate), "--duration", str(seconds))
            load = subprocess.Popen(
                [sys.executable, "-m", "greenpower", "simulate", *arguments],
                env=up.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                minute = 0.0
                while load.poll() is None:
                    run.look()
                    if time.monotonic() - run.began >= minute * 60:
                        minute += 1
                        held = ", ".join(f"{name} {run.memory[name][-1][1] // MIB}" for name in sorted(run.memory))
                        console.print(f"minute {minute - 1:.0f}: {dict(run.frames())}; MiB: {held}", highlight=False)
                    time.sleep(EVERY_SECONDS)
                took = time.monotonic() - run.began
                said = (load.communicate()[0] or "").strip()
            finally:
                load.kill()
                load.wait()
            wait_until(lambda: run.frames()["received"] == sum(run.frames().values()) / 2, 60)
            frames = run.frames()
            table, bad = run.table(took)
            assert up.interrupt() == 0, up.text
        bad += [f"logged: {line}" for line in run.warnings]
    console.print(table)
    console.print(said, highlight=False)
    console.print(f"{took:.0f} s, {frames['received'] / took:,.0f} frames/s: {dict(frames)}", highlight=False)
    for line in bad:
        console.print(line, highlight=False, markup=False)
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    # Readings of some types come in several packets: so many readings are 2 100 frames a second.
    parser.add_argument("--rate", type=float, default=850, help="readings a second")
    parser.add_argument("--devices", type=int, default=1_000, help="of each type")
    given = parser.parse_args()
    sys.exit(bool(soak(given.minutes, given.rate, given.devices)))


if __name__ == "__main__":
    main()
