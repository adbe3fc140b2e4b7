"""`python -m tests.bench`: run the benchmarks and print a table; the figures also go to `var/bench.json`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from greenpower.embedded import Mongod, Mosquitto
from tests.bench.frames import TOPIC, make_frames
from tests.bench.ingest import measure

GOAL = 0.5
COLLECTION = "grid_rt_data"


def floor(script: str, *args: str) -> dict[str, float]:
    """Run a floor in a process of its own."""
    done = subprocess.run([sys.executable, "-m", f"tests.bench.{script}", *args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stdout}{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--frames", type=int, default=50_000, help="frames that wait at the broker (50000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the medians count (3)")
    parser.add_argument("--output", type=Path, default=Path("var/bench.json"), help="where the figures go")
    given = parser.parse_args()
    began = time.monotonic()
    rounds: dict[str, list[float]] = {"mqtt": [], "mongo": [], "ingest": []}
    packets = [(TOPIC, payload) for payload in make_frames(given.frames)]
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
        home = Path(folder)
        with Mongod(home / "mongod") as mongod, Mosquitto(home / "mosquitto") as mosquitto:
            for number in range(given.rounds):
                count = str(given.frames)
                rounds["mqtt"].append(floor("floor_mqtt", "--port", str(mosquitto.port), "--frames", count)["rate"])
                rounds["mongo"].append(floor("floor_mongo", "--uri", mongod.uri, "--frames", count)["rate"])
                figures = measure(home, mongod, mosquitto, packets, {COLLECTION: given.frames})
                rounds["ingest"].append(figures["rate"])
                shown = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in rounds.items())
                print(f"round {number + 1} of {given.rounds}: {shown} frames/s", file=sys.stderr, flush=True)
    report = summary(rounds, given.frames)
    report["took_seconds"] = round(time.monotonic() - began, 1)
    print(table(report))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(report, indent=2) + "\n")


def summary(rounds: dict[str, list[float]], frames: int) -> dict[str, Any]:
    """Medians, the combined floor and the ratio to it."""
    a, b, c = (median(rounds[name]) for name in ("mqtt", "mongo", "ingest"))
    combined = 1 / (1 / a + 1 / b)
    return {
        "frames": frames,
        "cores": os.cpu_count(),
        "rounds": rounds,
        "mqtt_floor": a,
        "mongo_floor": b,
        "combined_floor": combined,
        "ingest": c,
        "ratio": c / combined,
        "lost": 0,
    }


def table(report: dict[str, Any]) -> str:
    """The figures for a person."""
    rows = (
        ("(a) bare gmqtt client, JSON decoded", report["mqtt_floor"]),
        ("(b) bare insert-many, reading + event", report["mongo_floor"]),
        ("    both, one after the other: 1/(1/a+1/b)", report["combined_floor"]),
        ("(c) greenpower ingest --mqtt", report["ingest"]),
    )
    lines = [f"{report['frames']:,} frames of 40 fields, medians of {len(report['rounds']['ingest'])} rounds"]
    lines += [f"{name:<44}{rate:>10,.0f} frames/s" for name, rate in rows]
    verdict = "reached" if report["ratio"] >= GOAL else "missed"
    lines.append(f"{'(c) to the floors combined':<44}{report['ratio']:>10.2f} (goal {GOAL}: {verdict}); lost: 0")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
