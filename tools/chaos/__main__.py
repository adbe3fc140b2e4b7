"""`python -m tools.chaos`: the long runs, by hand or at night. Exit code 1 when something was lost, doubled or wrong.

First the whole stack under faults, then the rollups under kills.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.sql_servers import postgres_server
from tools.chaos.rollup import Chaos
from tools.chaos.stack import Stack
from tools.chaos.suite import Scale, Suite
from tools.chaos.table import show

WIDTH = 120


def whole(scale: Scale, seed: int) -> bool:
    """The whole stack under faults. Returns whether the books balance."""
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-chaos-") as folder,
        postgres_server(Path(folder)) as postgres,
        Stack(Path(folder) / "home", postgres.get_uri(), disk=scale.disk, postgres=postgres) as stack,
    ):
        report = Suite(stack, scale, seed, lambda text: print(text, flush=True)).run()
    show(report, Console(width=None if sys.stdout.isatty() else WIDTH))
    return report.balanced


def rollups(kills: int, seed: int) -> None:
    """Kills during rollup runs. Raises AssertionError where the end differs from the truth."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-chaos-") as folder,
        Chaos(Path(folder), seed).running() as chaos,
    ):
        chaos.rounds(kills, lambda text: print(text, flush=True))
        chaos.settle()
        buckets = chaos.check()
    print(f"rollups, seed {seed}: {chaos.kills} killed, {buckets} buckets right, {time.monotonic() - began:.0f} s")


def main() -> None:
    """Run both, or one."""
    parser = argparse.ArgumentParser(prog="python -m tools.chaos", description=__doc__)
    parser.add_argument("--frames", type=int, default=Scale.frames, help="frames sent while faults befall the stack")
    parser.add_argument("--faults", type=int, default=Scale.faults)
    parser.add_argument("--meters", type=int, default=Scale.meters)
    parser.add_argument("--rate", type=float, default=Scale.rate, help="frames a second at most")
    parser.add_argument("--runs", type=int, default=1, help="of the whole stack")
    parser.add_argument("--kills", type=int, default=200, help="during rollup runs")
    parser.add_argument("--only", choices=("stack", "rollups"))
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    scale = Scale(frames=given.frames, faults=given.faults, meters=given.meters, rate=given.rate)
    balanced = True
    if given.only != "rollups":
        for number in range(given.runs):
            balanced &= whole(scale, given.seed + number)
    if given.only != "stack":
        rollups(given.kills, given.seed)
    sys.exit(not balanced)


if __name__ == "__main__":
    main()
