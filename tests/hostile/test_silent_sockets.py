"""Connections that say nothing, or a byte now and then, to every port: others get in and lose nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.stack.port import free_port
from tests.hostile.conftest import Run
from tests.hostile.crowd import Crowd
from tests.hostile.frames import Frames
from tests.hostile.others import P99_SECONDS, Others
from tests.ingest.sources.gateway import Gateway
from tests.realtime.conftest import Browser, make_reading, tell
from tests.wait import LONGEST_STRETCH, busy, wait_until

pytestmark = pytest.mark.slow
CROWD = 96
SECONDS = 5
LATER_SECONDS = 4
POLL = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
AT_GATEWAY: dict[str, tuple[bytes, bytes, float]] = {
    "silent": (b"", b"", SECONDS),
    "headers that drip": (POLL, b"X-A: b\r\n", SECONDS),
    # The gateway forgets them after 10 s, while it goes on with the next ones.
    "sessions that nobody polls": (POLL + b"\r\n", b"", SECONDS),
    "a body that drips": (POST, b"a", SECONDS),
    # It is asked for a sign of life after 15 s, and has 10 s for it; who logs in nowhere is ended sooner.
    "a socket without a word": (UPGRADE, b"", 10),
    "a socket with frames that drip": (UPGRADE, b"\x81\xfe\x01\x00abcd" + b"a" * 256, 10),
}


def all_closed(crowd: Crowd, seconds: float, name: str) -> None:
    """Hold that the server ends each connection when its time is over."""
    wait_until(lambda: not crowd.open, seconds + LATER_SECONDS + 6)
    assert max(crowd.closed_after) < (seconds + LATER_SECONDS) * min(busy(), LONGEST_STRETCH), name


def test_at_the_realtime_gateway(run: Run, settings: Settings, redis_url: str, base: str) -> None:
    run("api", api_rate_limit="")
    run("realtime", api_head_seconds=SECONDS, api_body_seconds=SECONDS)
    member = Browser(settings.realtime_port).connect()
    assert member.subscribe("*")["ok"]
    told = 0
    try:
        with Others(base) as others, Others(f"http://127.0.0.1:{settings.realtime_port}", "/health") as at_gateway:
            for name, (first, drip, seconds) in AT_GATEWAY.items():
                with Crowd(settings.realtime_port, CROWD, first=first, drip=drip) as crowd:
                    told += 1
                    tell(redis_url, make_reading("D1", told, ua=float(told)))
                    assert member.next("reading")[-1]["payload"] == {"ua": float(told)}
                    all_closed(crowd, seconds, name)
                    assert len(crowd.closed_after) == CROWD, name
            others.check()
            at_gateway.check()
    finally:
        member.close()


def test_more_connections_than_wait_at_the_gateway_shut_nobody_out(run: Run, settings: Settings) -> None:
    run("realtime", api_head_seconds=60)
    with Others(f"http://127.0.0.1:{settings.realtime_port}", "/health") as others:
        with Crowd(settings.realtime_port, 2_300, first=b"GET / HTTP/1.1\r\nX: ") as crowd:
            wait_until(lambda: crowd.open <= 2_100, 20)
            member = Browser(settings.realtime_port).connect()
            member.close()
        # Two thousand connections are opened and closed on one thread meanwhile.
        others.check(2 * P99_SECONDS)


def test_at_the_ports_of_ingest(
    run: Run, settings: Settings, broker: tuple[str, int], db: Database[dict[str, Any]], base: str
) -> None:
    run("api", api_rate_limit="")
    lines_port = free_port()
    times = {"tcp_registration_seconds": SECONDS, "tcp_idle_seconds": SECONDS}
    ingest = run("ingest", "--mqtt", "--tcp", tcp_lines_port=lines_port, tcp_lines_token="t" * 40, **times)
    ingest.wait_listening(settings.tcp_port, lines_port)
    at_ports: dict[str, tuple[int, bytes, bytes]] = {
        "a gateway without a name": (settings.tcp_port, b"", b""),
        "a gateway whose name drips": (settings.tcp_port, b"GW", b"C"),
        "lines without a token": (lines_port, b"", b""),
        "a token that drips": (lines_port, b"", b"t"),
        "half a request for metrics": (settings.ingest_http_port, b"GET /metrics HTTP/1.1\r\n", b""),
        "a request for metrics that drips": (settings.ingest_http_port, b"GET /metrics HTTP/1.1\r\nX: ", b"a"),
    }
    with Others(base) as others, Frames(*broker, db) as frames:
        with Others(f"http://127.0.0.1:{settings.ingest_http_port}", "/health") as at_ingest:
            for name, (port, first, drip) in at_ports.items():
                with Crowd(port, CROWD, first=first, drip=drip) as crowd:
                    gateway = Gateway(settings.tcp_port)
                    assert gateway.heartbeat()
                    gateway.close()
                    all_closed(crowd, 10 if "metrics" in name else SECONDS, name)
            at_ingest.check()
        others.check()
        frames.check()
    assert ingest.health()["status"] == "ok"
