"""`python -m tools.bench`: run all benchmarks and print one table; the figures also go to `var/bench.json`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from greenpower.stack import Mongod, Mosquitto
from tools.bench import (
    alarms,
    api,
    archive,
    dialled,
    growth,
    idle,
    imports,
    live,
    points,
    push,
    reads,
    rollup_cascade,
    rollup_counters,
    rollup_gauges,
    rollup_shared,
    size,
    topics,
)
from tools.bench.frames import TOPIC, make_frames
from tools.bench.ingest import Bench
from tools.bench.line import as_documents, machine, markdown, plain, with_block
from tools.bench.lines import lines_of
from tools.bench.mix import make_mix
from tools.bench.parse import rates

README = Path(__file__).parents[2] / "README.md"
COLLECTION = "grid_rt_data"
FRAMES = 40_000
GATEWAYS = 500
GATEWAY_SECONDS = 5.0
MIXED_GATEWAYS = 200
MEMBERS = 2

PARTS = (
    "ingest", "push", "topics", "dialled", "import", "growth", "size", "archive", "rollups", "api", "reads", "points",
    "alarms", "live", "idle",
)  # fmt: skip
ROLLUPS = (rollup_gauges, rollup_counters, rollup_cascade, rollup_shared)

Rounds = dict[str, list[float]]


def floor(script: str, *args: str) -> float:
    """Frames a second of a floor, run in a process of its own."""
    done = subprocess.run([sys.executable, "-m", f"tools.bench.{script}", *args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stdout}{done.stderr}")
    return float(json.loads(done.stdout)["rate"])


def measure(home: Path, frames: int, rounds: int) -> Rounds:
    """The figures of every round. Floors and ingest take turns, so that a busy moment does not favour one."""
    found: Rounds = defaultdict(list)
    packets = [(TOPIC, payload) for payload in make_frames(frames)]
    mixed, readings = make_mix(frames)
    with Mongod(home / "mongod") as mongod, Mosquitto(home / "mosquitto") as mosquitto:
        bench = Bench(home, mongod, mosquitto)
        for number in range(rounds):
            found["mqtt"].append(floor("floor_mqtt", "--port", str(mosquitto.port), "--frames", str(frames)))
            found["mongo"].append(floor("floor_mongo", "--uri", mongod.uri, "--frames", str(frames)))
            found["ingest"].append(bench.drain(packets, {COLLECTION: frames}))
            found["shared"].append(bench.drain(packets, {COLLECTION: frames}, processes=MEMBERS))
            found["mix"].append(bench.drain(mixed, readings, MIXED_GATEWAYS))
            dialled = bench.gateways(GATEWAYS, GATEWAY_SECONDS)
            found["tcp"].append(dialled["rate"])
            found["tcp_load"].append(dialled["processor_us"])
            shown = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in found.items())
            print(f"round {number + 1} of {rounds}: {shown}", file=sys.stderr, flush=True)
    return found


def summary(rounds: Rounds, parsed: dict[str, float], frames: int) -> dict[str, Any]:
    """Medians, the combined floor and the ratios to it."""
    medians = {name: median(values) for name, values in rounds.items()}
    combined = 1 / (1 / medians["mqtt"] + 1 / medians["mongo"])
    return {
        "frames": frames,
        "rounds": rounds,
        "medians": medians,
        "combined": combined,
        "ratio": medians["ingest"] / combined,
        "shared_ratio": medians["shared"] / medians["ingest"],
        "mix_ratio": medians["mix"] / combined,
        "tcp_ratio": medians["tcp"] / combined,
        "parse": parsed,
        "lost": 0,
    }


def run_ingest(frames: int, rounds: int) -> dict[str, Any]:
    """Floors and ingest in turn, parsers."""
    parsed = rates()
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
        return summary(measure(Path(folder), frames, rounds), parsed, frames)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"frames that wait at the broker ({FRAMES})")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the medians count (3)")
    parser.add_argument("--output", type=Path, default=Path("var/bench.json"), help="where the figures go")
    parser.add_argument("--full", action="store_true", help="larger sets, longer runs; up to 45 minutes")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, of {','.join(PARTS)} (all)")
    parser.add_argument("--readme", action="store_true", help="run nothing; put the last run's table into README.md")
    given = parser.parse_args()
    if given.readme:
        block = markdown(json.loads(given.output.read_text()))
        README.write_text(with_block(README.read_text("utf-8"), block), "utf-8")
        return
    wanted = given.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    quick = not given.full
    runs: dict[str, Callable[[], Any]] = {
        "ingest": lambda: run_ingest(given.frames, given.rounds if quick else max(5, given.rounds)),
        "topics": lambda: topics.run(quick),
        "push": lambda: push.run(given.frames, given.rounds),
        "dialled": lambda: dialled.run(quick),
        "import": lambda: imports.run(quick),
        "growth": lambda: growth.run(quick),
        "size": lambda: size.run(quick),
        "archive": lambda: archive.run(quick),
        "rollups": lambda: [row for bench in ROLLUPS for row in bench.run(quick=quick)],
        "api": lambda: api.run(quick=quick),
        "reads": lambda: reads.run(quick=quick),
        "points": lambda: points.run(quick=quick),
        "alarms": lambda: alarms.run(quick=quick),
        "live": lambda: live.run(quick=quick),
        "idle": lambda: idle.run(quick=quick),
    }
    began = time.monotonic()
    report: dict[str, Any] = {"machine": machine(), "full": given.full, "took_seconds": {}}
    for part in PARTS:
        if part in wanted:
            started = time.monotonic()
            report[part] = runs[part]()
            report["took_seconds"][part] = round(time.monotonic() - started, 1)
            print(f"{part}: {report['took_seconds'][part]} s", file=sys.stderr, flush=True)
    lines = lines_of(report)
    report["lines"] = as_documents(lines)
    report["took_seconds"]["all"] = round(time.monotonic() - began, 1)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(report, indent=2) + "\n")
    print(plain(lines))


if __name__ == "__main__":
    main()
