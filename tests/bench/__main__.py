"""`python -m tests.bench`: run the benchmarks and print a table; the figures also go to `var/bench.json`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from greenpower.embedded import Mongod, Mosquitto
from tests.bench import api, live, rollup_cascade, rollup_counters, rollup_gauges
from tests.bench.frames import TOPIC, make_frames
from tests.bench.ingest import Bench
from tests.bench.mix import make_mix
from tests.bench.parse import rates

GOAL = 0.5
COLLECTION = "grid_rt_data"
GATEWAYS = 500
GATEWAY_SECONDS = 5.0
MIXED_GATEWAYS = 200

PARTS = ("ingest", "rollups", "api", "live")
ROLLUPS = (rollup_gauges, rollup_counters, rollup_cascade)

Rounds = dict[str, list[float]]


def floor(script: str, *args: str) -> float:
    """Frames a second of a floor, run in a process of its own."""
    done = subprocess.run([sys.executable, "-m", f"tests.bench.{script}", *args], capture_output=True, text=True)
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
            found["mix"].append(bench.drain(mixed, readings, MIXED_GATEWAYS))
            found["tcp"].append(bench.gateways(GATEWAYS, GATEWAY_SECONDS))
            shown = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in found.items())
            print(f"round {number + 1} of {rounds}: {shown}", file=sys.stderr, flush=True)
    return found


def summary(rounds: Rounds, parsed: dict[str, float], frames: int) -> dict[str, Any]:
    """Medians, the combined floor and the ratios to it."""
    medians = {name: median(values) for name, values in rounds.items()}
    combined = 1 / (1 / medians["mqtt"] + 1 / medians["mongo"])
    return {
        "frames": frames,
        "cores": os.cpu_count(),
        "rounds": rounds,
        "medians": medians,
        "combined": combined,
        "ratio": medians["ingest"] / combined,
        "mix_ratio": medians["mix"] / combined,
        "tcp_ratio": medians["tcp"] / combined,
        "parse": parsed,
        "lost": 0,
    }


def table(report: dict[str, Any]) -> str:
    """The figures for a person."""
    medians = report["medians"]
    verdict = "reached" if report["ratio"] >= GOAL else "missed"
    rows = [
        ("(a) bare gmqtt client, JSON decoded", medians["mqtt"], "frames/s"),
        ("(b) bare insert-many, reading and event", medians["mongo"], "frames/s"),
        ("    one after the other, 1/(1/a+1/b)", report["combined"], "frames/s"),
        ("(c) greenpower ingest --mqtt", medians["ingest"], f"frames/s, {report['ratio']:.2f} of that: goal {verdict}"),
        ("    --mqtt --tcp, all five types, split too", medians["mix"], f"frames/s, {report['mix_ratio']:.2f} of that"),
        (
            f"(d) greenpower ingest --tcp, {GATEWAYS} gateways",
            medians["tcp"],
            f"readings/s, {report['tcp_ratio']:.2f} of that",
        ),
        *((f"(e) read by parser and checks: {name}", rate, "frames/s") for name, rate in report["parse"].items()),
    ]
    head = (
        f"{report['frames']:,} frames of 40 fields that wait at the broker, medians of {len(report['rounds']['mqtt'])} "
        f"rounds, {report['cores']} cores, goal (c) >= {GOAL}; frames lost: {report['lost']}"
    )
    return "\n".join([head, *(f"{name:<46}{rate:>9,.0f} {unit}" for name, rate, unit in rows)])


def rows_table(rows: list[dict[str, Any]]) -> str:
    """Rows of a name and figures, for a person."""
    return "\n".join(
        f"{row['name']:<52}"
        + "  ".join(f"{key} {value:,.2f}" for key, value in row.items() if isinstance(value, int | float))
        for row in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--frames", type=int, default=50_000, help="frames that wait at the broker (50000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the medians count (3)")
    parser.add_argument("--output", type=Path, default=Path("var/bench.json"), help="where the figures go")
    parser.add_argument("--full", action="store_true", help="larger sets, longer runs; up to 45 minutes")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, of {','.join(PARTS)} (all)")
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    began = time.monotonic()
    report: dict[str, Any] = {"cores": os.cpu_count()}
    if "ingest" in wanted:
        parsed = rates()
        with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
            report |= summary(measure(Path(folder), given.frames, given.rounds), parsed, given.frames)
        print(table(report), flush=True)
    if "rollups" in wanted:
        report["rollups"] = [row for bench in ROLLUPS for row in bench.run(quick=not given.full)]
        print(rows_table(report["rollups"]), flush=True)
    if "api" in wanted:
        report["api"] = api.run(quick=not given.full)
        print(api.table(report["api"]), flush=True)
    if "live" in wanted:
        report["live"] = live.run(quick=not given.full)
        print(live.table(report["live"]), flush=True)
    report["took_seconds"] = round(time.monotonic() - began, 1)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
