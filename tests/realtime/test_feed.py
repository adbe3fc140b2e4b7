"""The feed and the gateway's other loops when what they call fails or hangs: nothing dies, and health tells."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from pydantic import SecretStr

from greenpower.bus import revocation
from greenpower.config import Settings
from greenpower.loops import ThreadLoop
from greenpower.realtime.feed import Feed, FeedListener
from greenpower.stack import Valkey
from tests.process import Command, environment
from tests.realtime.conftest import Message, Start, make_reading, make_status, tell, tell_status
from tests.wait import wait_until

# The gateway in an interpreter of its own, with hands in it: what is called is replaced, and health is asked.
GATEWAY = """
import eventlet
eventlet.monkey_patch()
import time
from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.loops import Backoff
from greenpower.realtime import feed, gateway as module
feed.STALLED_SECONDS = module.STALLED_SECONDS = 1.0
gateway = module.RealtimeGateway(load_settings(), get_registry())
gateway.loops.start()
asking = gateway.app.test_client()

def health():
    found = asking.get("/health")
    return found.status_code, {name: loop["ok"] for name, loop in found.json["loops"].items()}

def until(code, **loops):
    end = time.monotonic() + 60
    while True:
        status, found = health()
        if status == code and loops.items() <= found.items():
            return
        assert time.monotonic() < end, (code, loops, status, found)
        eventlet.sleep(0.02)

def tell():
    gateway._redis.publish("greenpower:reading:rt", READING)

def fails(*_):
    raise RuntimeError("a fault")

def hangs(*_):
    while hanging:
        eventlet.sleep(0.02)

until(200, feed=True, ticker=True, sweeper=True)
"""
FAULTS = {
    "the feed goes on when the hub fails, and is red while it hangs": """
real, gateway.hub.readings = gateway.hub.readings, fails
for _ in range(3):
    tell()
while gateway.metrics.registry.get_sample_value(
    "greenpower_realtime_skipped_total", {"source": "listener"}
) != 3:
    eventlet.sleep(0.02)
assert health()[0] == 200 and gateway.feed.restarts == 0
hanging, gateway.hub.readings = True, hangs
tell()
until(503, feed=False, ticker=True, sweeper=True)
hanging, gateway.hub.readings = False, real
until(200, feed=True)
tell()
while gateway.hub.cache.reading("rt", "D1") is None:
    eventlet.sleep(0.02)
""",
    "the ticker is red while it fails, and comes back": """
real, gateway.hub.tick = gateway.hub.tick, fails
until(503, ticker=False, feed=True)
gateway.hub.tick = real
until(200)
assert gateway.loops.health()["ticker"]["restarts"] >= 1
""",
    "a client that cannot be served costs no other": """
from types import SimpleNamespace
from greenpower.realtime.client import Client, Subscription
served, ended = [], []
gateway.hub._send = lambda client, event, data: fails() if client.sid == "bad" else served.append((client.sid, event))
gateway.hub._queued = lambda client: 0
gateway.socketio.server.eio.sockets["eio-bad"] = SimpleNamespace(close=lambda **_: ended.append("eio-bad"))
claims = SimpleNamespace(devices=None, family="f", subject="1", restricted=False, expires=time.time() + 600,
                         may_see=lambda *_: True, may_have=lambda _: True)
for sid in ("bad", "good"):
    client = Client(sid=sid, eio_sid="eio-" + sid, claims=claims)
    assert gateway.hub.connect(client)
    gateway.hub.subscribe(client, Subscription(type="rt", device="D1", fields=None, pause=0.01))
while ("good", "snapshot") not in served:
    eventlet.sleep(0.02)
tell()
while ("good", "reading") not in served:
    eventlet.sleep(0.02)
assert ended.count("eio-bad") == 1 and set(gateway.hub.clients) == {"good"}
assert health()[0] == 200 and not any(loop["restarts"] for loop in gateway.loops.health().values())
""",
    "the sweeper is red while it hangs, and comes back": """
hanging, real = True, gateway.hub.expired
gateway.hub.expired = lambda now: hangs() or []
until(503, sweeper=False, feed=True)
hanging, gateway.hub.expired = False, real
until(200)
""",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_health_is_read_from_the_loops(fault: str, settings: Settings, tmp_path: Path) -> None:
    reading = orjson.dumps({"type": "rt", "readings": [make_reading("D1", 5)]})
    code = f"READING = {reading!r}\n{GATEWAY}{FAULTS[fault]}print('done')"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment(settings), cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.stdout.endswith("done\n"), done.stderr


class Fragile:
    """A listener that fails on what `bad` names, and notes the rest."""

    def __init__(self, *bad: str) -> None:
        self.bad = bad
        self.heard: list[Any] = []

    def _take(self, name: str, value: Any) -> None:
        if name in self.bad or value in self.bad:
            raise RuntimeError(name)
        self.heard.append((name, value))

    def on_readings(self, type_name: str, readings: list[Message]) -> None:
        for reading in readings:
            self._take("readings", reading["device_id"])

    def on_statuses(self, statuses: list[Message]) -> None:
        for status in statuses:
            self._take("statuses", status["device_id"])

    def on_alarms(self, events: list[Message]) -> None:
        for event in events:
            self._take("alarms", event["id"])

    def on_revoked(self, family: str) -> None:
        self._take("revoked", family)

    def on_visible(self, subject: str) -> None:
        self._take("visible", subject)

    def on_loaded(self) -> None:
        self._take("loaded", None)


@contextmanager
def running(url: str, listener: FeedListener) -> Iterator[tuple[ThreadLoop, list[str]]]:
    skipped: list[str] = []
    loop = Feed(url, ["rt", "solar"], listener, skipped.append).make_loop()
    loop.start()
    try:
        yield loop, skipped
    finally:
        assert loop.stop(60)


@pytest.mark.parametrize("bad", ["readings", "statuses", "revoked", "loaded"])
def test_a_listener_that_fails_costs_what_it_was_told(bad: str, redis_url: str, store: redis.Redis) -> None:
    tell(redis_url, make_reading("D1", 1))
    tell_status(redis_url, make_status("D1"))
    listener = Fragile(bad)
    with running(redis_url, listener) as (loop, skipped):
        wait_until(lambda: loop.health()["ok"])
        tell(redis_url, make_reading("D2", 1))
        tell_status(redis_url, make_status("D2"))
        revocation.mark_revoked(store, ["family"])
        wanted = {
            ("readings", "D1"), ("readings", "D2"), ("statuses", "D1"), ("statuses", "D2"), ("revoked", "family"),
            ("loaded", None),
        }  # fmt: skip
        good = {item for item in wanted if item[0] != bad}
        wait_until(lambda: set(listener.heard) == good and len(skipped) == len(wanted - good))
        assert loop.restarts == 0 and loop.health()["ok"] and set(skipped) == {"listener"}


def test_one_device_of_one_type_that_fails_costs_no_other(redis_url: str) -> None:
    for number in range(3):
        tell(redis_url, make_reading(f"D{number}", 1))
        tell(redis_url, make_reading(f"S{number}", 1, "solar"))
    listener = Fragile("D1")
    with running(redis_url, listener) as (loop, skipped):
        wait_until(lambda: loop.health()["ok"])
        assert {name for what, name in listener.heard if what == "readings"} == {"D0", "D2", "S0", "S1", "S2"}
        assert skipped == ["listener"]


def test_it_is_red_while_redis_is_away_and_loads_again_when_it_is_back(tmp_path: Path) -> None:
    with Valkey(tmp_path) as valkey:
        listener = Fragile()
        with running(valkey.url, listener) as (loop, _):
            wait_until(lambda: loop.health()["ok"])
            valkey.kill()
            wait_until(lambda: not loop.health()["ok"])
            assert loop.health()["running"]
            valkey.start()
            wait_until(lambda: loop.health()["ok"], 30)
            assert loop.restarts >= 1 and listener.heard.count(("loaded", None)) >= 2


def is_red(gateway: Command) -> bool:
    """Whether a gateway answers 503 for Redis and its feed, and for nothing else."""
    answer = gateway.get("/health")
    found = answer.json()
    loops = found["loops"]
    return answer.status_code == 503 and not found["redis"] and not loops["feed"]["ok"] and bool(loops["ticker"]["ok"])


def test_the_gateway_answers_503_while_redis_hangs_or_is_away(
    settings: Settings, start_gateway: Start, tmp_path: Path
) -> None:
    with Valkey(tmp_path / "valkey") as valkey:
        gateway = start_gateway(settings.model_copy(update={"redis_url": SecretStr(valkey.url)}))
        for fail, heal in ((valkey.pause, valkey.resume), (valkey.kill, valkey.start)):
            fail()
            # Redis is found away before the feed has noticed.
            wait_until(lambda: is_red(gateway), 40)
            heal()
            wait_until(lambda: gateway.get("/health").status_code == 200, 40)
        assert gateway.metric("greenpower_loop_restarts_total", loop="feed") >= 2
