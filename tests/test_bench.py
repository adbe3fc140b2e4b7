"""The one table of the benches: what comes of a report, on the terminal and in the README. No bench runs here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from greenpower.stack import Mosquitto
from tools.bench import __main__ as bench
from tools.bench import size
from tools.bench.__main__ import README, summary
from tools.bench.floor_mqtt import CLIENT_ID, new_client, subscribe
from tools.bench.frames import end_session
from tools.bench.line import BEGIN, END, as_documents, machine, markdown, plain, with_block
from tools.bench.lines import lines_of

SHARE = {"delivered": 1.0, "sent": 10, "p50_ms": 12.0, "p99_ms": 26.0}
LOAD = {"rate": 100.0, "p50_ms": 1.0, "p99_ms": 2.0, "rows": 5, "grew_mb": 1.0}
REPORT = {
    "ingest": summary(
        {
            **{"mqtt": [30_000.0], "mongo": [30_000.0], "ingest": [9_000.0], "mix": [9_000.0], "tcp": [4_000.0]},
            "shared": [8_600.0, 8_700.0, 8_500.0],
        },
        {"rt": 180_000.0},
        50_000,
    ),
    "topics": [
        {"name": "plain", "frames_per_s": 8_000.0},
        {"name": "gathered", "frames_per_s": 4_000.0, "ratio": 0.5, "goal": 0.3},
    ],
    "growth": [
        {"name": "empty", "frames_per_s": 9_000.0},
        {"name": "full", "frames_per_s": 8_900.0, "ratio": 8_900 / 9_000, "goal": 0.9, "expired": 5},
    ],
    "size": [
        {"name": "a reading", "bytes": 279.0, "data": 232.0, "indexes": 47.0, "goal": 370},
        {"name": "a large one", "bytes": 400.0, "data": 300.0, "indexes": 100.0, "goal": 370},
    ],
    "archive": [
        {"name": "an archived reading", "bytes": 50.0, "floor": 40.0, "goal": 45},
        {"name": "archiving", "per_s": 5_000.0, "floor": 10_000.0},
        {"name": "a month", "ms": 150.0, "floor": 100.0, "goal": 200},
    ],
    "rollups": [
        {"name": "gauges", "frames_per_s": 90.0, "floor_per_s": 100.0, "ratio": 0.9, "goal": 0.85},
        {"name": "a frame", "frames": 5, "us_per_frame": 31.5},
    ],
    "api": {"200000": {"growth": 1.25} | {name: LOAD for name in (
        "floor_page", "page", "page_none", "floor_latest", "latest", "floor_export", "export")}},
    "reads": [
        {"name": "a day", "ms": 15.0, "floor_ms": 5.0, "ratio": 3.0, "times": 2.0, "goal_ms": None},
        {"name": "a month", "ms": 900.0, "floor_ms": 50.0, "ratio": 18.0, "times": None, "goal_ms": 1_000},
        {"name": "a day meanwhile", "ms": 30.0, "floor_ms": 15.0, "ratio": 2.0},
    ],
    "points": [
        {"name": "a year of points", "ms": 700.0, "floor_ms": 70.0, "ratio": 10.0, "times": None, "goal_ms": 1_000},
    ],
    "alarms": [
        {"name": "a round of alarms", "ms": 900.0, "floor_ms": 300.0, "ratio": 3.0, "times": None, "goal_ms": 30_000},
    ],
    "live": {"live": {"one": SHARE, "all": SHARE}, "floor": {"one": SHARE, "all": SHARE}},
    "idle": {"ready_s": 5.0, "first_value_s": 7.0, "idle": [
        {"after_s": 60.0, "memory_mb": 500.0, "cpu": 0.04, "memory_by_process": {"up": 500.0}, "cpu_by_process": {}}]},
}  # fmt: skip


def test_every_figure_has_its_line_and_its_verdict() -> None:
    lines = {line.name: line for line in lines_of(REPORT)}
    ingest = lines["ingest over MQTT, 40 fields, QoS 1"]
    assert (ingest.floor, ingest.ratio, ingest.reached) == (15_000, 0.6, False)
    archived = lines["an archived reading"]
    assert (archived.ratio, archived.reached, lines["a month"].reached) == (1.25, False, True)
    assert lines["archiving"].ratio == 0.5
    shared = lines["the same, two processes on a shared subscription, to one"]
    assert (shared.value, shared.floor, shared.reached) == (8_600, 9_000, True)
    assert lines["both, one after the other: 1/(1/a+1/b)"].reached
    assert lines["gathered"].reached
    assert lines["full"].reached and lines["empty"].reached is None
    assert lines["a reading, with indexes"].reached and not lines["a large one, with indexes"].reached
    page, grown = "a page of 50, 200,000 buckets", "a page's median time, 200,000 buckets, to the smaller set"
    assert lines[page].reached and not lines[grown].reached
    assert lines["a day"].reached is False and lines["a month"].reached
    assert lines["a day meanwhile"].reached is None
    assert lines["a year of points"].reached and lines["a year of points"].floor == 70.0
    assert lines["memory (PSS) of all processes, 1 min without devices"].reached
    assert not lines["processor, 1 min without devices"].reached
    assert not lines["greenpower up to its first value"].reached
    assert {line.part for line in lines.values()} == REPORT.keys()


def test_a_run_writes_what_it_prints_and_the_readme_is_made_of_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, readme = tmp_path / "var" / "bench.json", tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    monkeypatch.setattr(bench, "README", readme)
    monkeypatch.setattr(size, "run", lambda quick: REPORT["size"])
    monkeypatch.setattr("sys.argv", ["bench", "--only", "size", "--output", str(output)])
    bench.main()
    assert "a reading, with indexes" in capsys.readouterr().out
    assert json.loads(output.read_text())["size"] == REPORT["size"]
    monkeypatch.setattr("sys.argv", ["bench", "--readme", "--output", str(output)])
    bench.main()
    assert "| a reading, with indexes | 279 | bytes |" in readme.read_text()


def test_parts_that_were_not_run_have_no_lines() -> None:
    assert {line.part for line in lines_of({"size": REPORT["size"]})} == {"size"}


def test_the_table_goes_into_the_readme_and_is_replaced_by_the_next() -> None:
    lines = lines_of(REPORT)
    assert "missed" in plain(lines)
    block = markdown({"machine": machine(), "full": False, "lines": as_documents(lines)})
    page = with_block(README.read_text("utf-8"), block)
    assert (
        "| ingest over MQTT, 40 fields, QoS 1 | 9,000 | frames/s | 15,000 | 0.60 | ≥ 0.65 of floor | missed |" in page
    )
    assert with_block(page, block) == page
    with pytest.raises(ValueError, match="bench"):
        with_block("a page without", block)


def test_a_session_that_was_ended_is_not_there_any_more(mosquitto: Mosquitto) -> None:
    async def is_there() -> bool:
        client, answer = new_client(), asyncio.get_running_loop().create_future()
        client.on_connect = lambda client, flags, rc, properties: answer.set_result(bool(flags))
        await client.connect(mosquitto.host, mosquitto.port)
        await client.disconnect()
        return bool(await answer)

    asyncio.run(subscribe(mosquitto.host, mosquitto.port))
    assert asyncio.run(is_there())
    asyncio.run(end_session(mosquitto.host, mosquitto.port, CLIENT_ID))
    assert not asyncio.run(is_there())
    asyncio.run(end_session(mosquitto.host, mosquitto.port, CLIENT_ID))
