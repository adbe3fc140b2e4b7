"""Bench of live values: 500 Socket.IO clients on one of 500 devices each, at 1 Hz, and 100 clients on all of them.

From the MQTT publish through broker, ingest, MongoDB, Redis and gateway to the client; beside it a bare emit loop.
`python -m tools.bench.live` prints a table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psutil
from pydantic import SecretStr

from greenpower.config import Settings
from greenpower.stack import Mongod, Mosquitto, Valkey
from greenpower.stack.port import free_port
from tests.process import Command
from tests.wait import wait_until

KEY = "j" * 40
# Of a name that no meter uses, and no range: the time of publishing, in seconds.
FIELD = "sent_at"
PAYLOAD = {f"value_{number}": round(200 + number * 1.2345, 4) for number in range(20)}
MARGIN = 4.0


def run(quick: bool = True) -> dict[str, Any]:
    """The figures: {"live": …, "floor": …}, each with what came and how late by kind of client, CPU and memory."""
    seconds = 10.0 if quick else 60.0
    devices = [f"BENCH{number:08}" for number in range(500)]
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        floor = measure_floor(devices, 100, seconds)
        mongod = stack.enter_context(Mongod(home / "mongod"))
        mosquitto = stack.enter_context(Mosquitto(home / "mosquitto"))
        valkey = stack.enter_context(Valkey(home / "valkey"))
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            greenpower_home=home,
            jwt_signing_key=SecretStr(KEY),
            mongo_db_uri=SecretStr(mongod.uri),
            redis_url=SecretStr(valkey.url),
            mqtt_broker=mosquitto.host,
            mqtt_port=mosquitto.port,
            mqtt_client_id=f"bench-{uuid4().hex[:8]}",
            ingest_http_port=free_port(),
            realtime_port=free_port(),
            log_level="WARNING",
        )
        live = measure_live(home, settings, devices, 100, seconds)
    return {"devices": len(devices), "seconds": seconds, "live": live, "floor": floor}


def measure_live(home: Path, settings: Settings, devices: list[str], every: int, seconds: float) -> dict[str, Any]:
    """The whole way."""
    token = jwt.encode(
        {"iss": "greenpower", "sub": "1", "type": "access", "fam": "f", "exp": time.time() + 3_600}, KEY, "HS256"
    )
    with (
        Command(settings, "ingest", "--mqtt", folder=home) as ingest,
        Command(settings, "realtime", folder=home) as gateway,
    ):
        ingest.wait_healthy()
        wait_until(lambda: _answers(settings.realtime_port), 30)
        with _viewers(settings.realtime_port, token, devices, every, seconds + MARGIN) as viewers:
            _until_ready(viewers)
            usage = Usage(gateway.process.pid)
            meters = _python("meters", port=settings.mqtt_port, devices=",".join(devices),
                             payload=json.dumps(PAYLOAD), field=FIELD, seconds=seconds)  # fmt: skip
            sent = json.loads(_result(meters))["sent"]
            used = usage.now()
            got = json.loads(_result(viewers))
        return _shares(got, sent, every) | used


def measure_floor(devices: list[str], every: int, seconds: float) -> dict[str, Any]:
    """The bare emit loop. It sends all the time, so what was sent is what it had to send in that time."""
    port = free_port()
    with _python("floor_emit", port=port, devices=",".join(devices), payload=json.dumps(PAYLOAD), field=FIELD) as bare:
        try:
            wait_until(lambda: _answers(port, 404), 30)
            with _viewers(port, "none", devices, every, seconds) as viewers:
                _until_ready(viewers)
                usage = Usage(bare.pid)
                got = json.loads(_result(viewers))
                used = usage.now()
        finally:
            bare.kill()
    return _shares(got, int(len(devices) * seconds), every) | used


class Usage:
    """CPU and memory of a process from now on."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._cpu, self._at = self._seconds(), time.monotonic()

    def _seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def now(self) -> dict[str, float]:
        """Share of one core since, and resident memory in MiB."""
        share = (self._seconds() - self._cpu) / (time.monotonic() - self._at)
        return {"cpu": share, "memory_mib": self._process.memory_info().rss / 2**20}


def _shares(got: dict[str, Any], sent: int, every: int) -> dict[str, Any]:
    """Add what should have come: every reading once to the client of its device, and once to each on all."""
    for kind, clients in (("one", 1), ("all", every)):
        got[kind]["sent"] = sent * clients
        got[kind]["delivered"] = got[kind]["readings"] / max(1, sent * clients)
    return got


def _python(script: str, **options: Any) -> subprocess.Popen[str]:
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", f"tools.bench.{script}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _viewers(port: int, token: str, devices: list[str], every: int, seconds: float) -> subprocess.Popen[str]:
    return _python(
        "viewers", port=port, token=token, devices=",".join(devices), every=every, field=FIELD, seconds=seconds
    )


def _until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise SystemExit(f"the clients failed:\n{process.communicate()[1]}")


def _result(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    if process.returncode:
        raise SystemExit(f"{process.args!r:.80} failed:\n{err}")
    return out.strip().splitlines()[-1]


def _answers(port: int, code: int = 200) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == code
    except httpx.HTTPError:
        return False


def table(report: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [f"{report['devices']} devices at 1 Hz for {report['seconds']:.0f} s, a client on each and 100 on all"]
    for name, title in (("live", "MQTT publish to client"), ("floor", "bare emit loop to client")):
        found = report[name]
        for kind, who in (("one", "one device"), ("all", "all devices")):
            part = found[kind]
            lines.append(
                f"{title:<26}{who:<12}{part['delivered']:>8.2%} of {part['sent']:>9,} delivered, "
                f"p50 {part['p50_ms']:.0f} ms, p99 {part['p99_ms']:.0f} ms"
            )
        lines.append(f"{'':<26}{'':<12}{found['cpu']:.0%} of a core, {found['memory_mib']:.0f} MiB")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.live", description=__doc__)
    parser.add_argument("--long", action="store_true", help="a minute in place of ten seconds")
    print(table(run(quick=not parser.parse_args().long)))


if __name__ == "__main__":
    main()
