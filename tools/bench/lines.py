"""From what each bench reports to the lines of the one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.bench.line import Line, at_least, at_most

Report = dict[str, Any]
INGEST, FLOOR = 0.65, 12_000
# Of one process: two on two cores that broker and database share can be no faster.
SHARED = 0.95
TCP = 0.6
PAGE, EXPORT, GROWN = 0.5, 0.6, 1.2
IDLE_MB, IDLE_PERCENT, FIRST_VALUE_SECONDS = 550, 3, 6


def lines_of(report: Report) -> list[Line]:
    """The lines of all parts that were run."""
    found: list[Line] = []
    for part, make in (
        ("ingest", _ingest),
        ("topics", _rows),
        ("push", _rows),
        ("growth", _rows),
        ("size", _size),
        ("rollups", _rows),
        ("api", _api),
    ):
        if part in report:
            found += make(part, report[part])
    if "dialled" in report:
        found += _rows("dialled", report["dialled"])
    if "import" in report:
        found += _imports("import", report["import"])
    if "archive" in report:
        found += _archive("archive", report["archive"])
    if "reads" in report:
        found += _reads("reads", report["reads"])
    if "points" in report:
        found += _reads("points", report["points"])
    if "alarms" in report:
        found += _reads("alarms", report["alarms"])
    if "live" in report:
        found += _live("live", report["live"])
    if "idle" in report:
        found += _idle("idle", report["idle"])
    return found


def _ingest(part: str, report: Report) -> Iterator[Line]:
    medians, combined = report["medians"], report["combined"]
    yield Line(part=part, name="(a) bare MQTT client", value=medians["mqtt"], unit="frames/s")
    yield Line(part=part, name="(b) bare insert-many of reading and event", value=medians["mongo"], unit="frames/s")
    yield Line(
        part=part, name="both, one after the other: 1/(1/a+1/b)", value=combined, unit="frames/s",
        goal=f"≥ {FLOOR}", reached=combined >= FLOOR,
    )  # fmt: skip
    yield at_least(part, "ingest over MQTT, 40 fields, QoS 1", medians["ingest"], "frames/s", combined, INGEST)
    name = "the same, two processes on a shared subscription, to one"
    yield at_least(part, name, medians["shared"], "frames/s", medians["ingest"], SHARED)
    yield at_least(part, "ingest of all five types, MQTT and TCP", medians["mix"], "frames/s", combined)
    yield at_least(part, "ingest over TCP, 500 gateways", medians["tcp"], "readings/s", combined, TCP)
    if "tcp_load" in medians:
        name = "what a reading costs the process that plays them"
        yield Line(part=part, name=name, value=medians["tcp_load"], unit="µs/reading")
    for name, rate in report["parse"].items():
        yield Line(part=part, name=f"parser and checks: {name}", value=rate, unit="frames/s")


def _rows(part: str, rows: list[Report]) -> Iterator[Line]:
    for row in rows:
        name = row["name"]
        if "us_per_frame" in row:
            yield Line(part=part, name=name, value=row["us_per_frame"], unit="µs/frame")
        elif "bytes" in row:
            yield at_most(part, name, row["bytes"], "bytes", row.get("goal"))
        elif "share" in row:
            yield at_most(part, name, row["share"], "of its time", row.get("goal"))
        elif "ratio" in row:
            floor = row["frames_per_s"] / row["ratio"]
            yield at_least(part, name, row["frames_per_s"], "frames/s", floor, row.get("goal"))
            if "bytes_per_bucket" in row:
                yield Line(part=part, name=f"{name}, a bucket", value=row["bytes_per_bucket"], unit="bytes")
        else:
            yield Line(part=part, name=name, value=row["frames_per_s"], unit="frames/s")


def _imports(part: str, rows: list[Report]) -> Iterator[Line]:
    for row in rows:
        if "ratio" in row:
            floor = row["rows_per_s"] / row["ratio"]
            yield at_least(part, row["name"], row["rows_per_s"], "rows/s", floor, row.get("goal"))
        else:
            yield Line(part=part, name=row["name"], value=row["rows_per_s"], unit="rows/s")


def _size(part: str, rows: list[Report]) -> Iterator[Line]:
    for row in rows:
        yield at_most(part, f"{row['name']}, with indexes", row["bytes"], "bytes", row.get("goal"))


def _archive(part: str, rows: list[Report]) -> Iterator[Line]:
    for row in rows:
        name, floor, goal = row["name"], row.get("floor"), row.get("goal")
        if "per_s" in row:
            yield at_least(part, name, row["per_s"], "readings/s", row["floor"])
            continue
        value, unit = (row["ms"], "ms") if "ms" in row else (row["bytes"], "bytes")
        yield Line(
            part=part, name=name, value=value, unit=unit, floor=floor, ratio=None if floor is None else value / floor,
            goal="" if goal is None else f"≤ {goal:g}", reached=None if goal is None else value <= goal,
        )  # fmt: skip


def _api(part: str, report: Report) -> Iterator[Line]:
    for size, found in report.items():
        of = f"{int(size):,} buckets"
        yield at_least(part, f"a page of 50, {of}", found["page"]["rate"], "/s", found["floor_page"]["rate"], PAGE)
        yield at_least(part, f"the same without a count, {of}", found["page_none"]["rate"], "/s",
                       found["floor_page"]["rate"])  # fmt: skip
        yield Line(part=part, name=f"its p99, {of}", value=found["page"]["p99_ms"], unit="ms")
        yield at_least(part, f"newest of 1000 devices, {of}", found["latest"]["rate"], "/s",
                       found["floor_latest"]["rate"])  # fmt: skip
        if "export" in found:
            yield at_least(part, f"export, {of}", found["export"]["rate"], "rows/s", found["floor_export"]["rate"],
                           EXPORT)  # fmt: skip
            yield Line(part=part, name="memory that workers grew by meanwhile", value=found["export"]["grew_mb"],
                       unit="MB")  # fmt: skip
        if "growth" in found:
            yield at_most(part, f"a page's median time, {of}, to the smaller set", found["growth"], "", GROWN)


def _reads(part: str, rows: list[Report]) -> Iterator[Line]:
    for row in rows:
        times, most = row.get("times"), row.get("goal_ms")
        goal = "" if times is None else f"≤ {times:g} of floor"
        reached = None if times is None else row["ratio"] <= times
        if most is not None:
            goal, reached = f"≤ {most:g}", row["ms"] <= most
        yield Line(part=part, name=row["name"], value=row["ms"], unit="ms", floor=row["floor_ms"], ratio=row["ratio"],
                   goal=goal, reached=reached)  # fmt: skip


def _live(part: str, report: Report) -> Iterator[Line]:
    live, floor = report["live"], report["floor"]
    for kind, who in (("one", "one device"), ("all", "all devices")):
        got, bare = live[kind], floor[kind]
        yield Line(part=part, name=f"delivered to clients on {who}", value=100 * got["delivered"], unit="%",
                   floor=100 * bare["delivered"])  # fmt: skip
        for percentile in ("p50_ms", "p99_ms"):
            name = f"publish to client on {who}, {percentile.removesuffix('_ms')}"
            yield Line(part=part, name=name, value=got[percentile], unit="ms", floor=bare[percentile])


def _idle(part: str, report: Report) -> Iterator[Line]:
    yield at_most(part, "greenpower up to its first value", report["first_value_s"], "s", FIRST_VALUE_SECONDS)
    for row in report["idle"]:
        after = f"{row['after_s'] / 60:.0f} min without devices"
        yield at_most(part, f"memory (PSS) of all processes, {after}", row["memory_mb"], "MB", IDLE_MB)
        yield at_most(part, f"processor, {after}", 100 * row["cpu"], "% of a core", IDLE_PERCENT)
        for name, memory in sorted(row["memory_by_process"].items()):
            yield Line(part=part, name=f"memory of {name}, {after}", value=memory, unit="MB")
