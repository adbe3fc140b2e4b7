"""The gateway under load: slow clients, several gateways, one that is killed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psutil
import pytest

from greenpower.config import Settings
from greenpower.stack import Valkey
from greenpower.stack.port import free_port
from tests.process import Command
from tests.realtime.conftest import Browser, Open, Start, make_reading, make_token, tell
from tests.realtime.raw import RawClient
from tests.wait import wait_until

DEVICES = 300
FIELDS: dict[str, Any] = {f"field_{number}": number + 0.123456 for number in range(30)}
MIB = 1024 * 1024


def round_of(second: float) -> list[dict[str, object]]:
    return [make_reading(f"D{number}", second, **FIELDS, n=second) for number in range(DEVICES)]


@contextmanager
def load(url: str, pause: float = 0.05) -> Iterator[list[float]]:
    """Readings of all devices, again and again; yields the times told so far, newest last."""
    told, stop = [0.0], threading.Event()

    def work() -> None:
        second = 0.0
        while not stop.wait(pause):
            second += 1
            tell(url, *round_of(second))
            told.append(second)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_a_client_that_does_not_read_gets_the_newest_and_costs_nobody_anything(
    gateway: Command, browser: Open, redis_url: str
) -> None:
    port = gateway.settings.realtime_port
    tell(redis_url, *round_of(0))
    quick = browser()
    quick.subscribe("D1")
    process = psutil.Process(gateway.process.pid)
    slow = [RawClient(port, make_token()) for _ in range(20)]
    for client in slow:
        client.emit("subscribe", {"type": "rt", "device_id": "*"})
    with load(redis_url) as told:
        wait_until(lambda: told[-1] > 20, 30)
        before = process.memory_info().rss
        # 20 clients, 300 devices, 100 rounds of 900 bytes would be 500 MB.
        wait_until(lambda: told[-1] > 120, 60)
        after = process.memory_info().rss
        newest = told[-1]
        while quick.next("reading")[0]["payload"]["n"] < newest:
            pass
    assert after - before < 40 * MIB, f"{(after - before) / MIB:.0f} MiB more"
    last = told[-1]
    with closing(slow[0]) as client:
        seen: dict[str, float] = {}
        messages = 0
        while set(seen.values()) != {last} or len(seen) < DEVICES:
            messages += 1
            for reading in client.next("reading"):
                seen[reading["device_id"]] = reading["payload"]["n"]
        assert messages < 60, "what it missed was not sent"
    for client in slow[1:]:
        client.close()
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.usefixtures("gateway")
def test_max_hz_is_kept_and_the_newest_comes(browser: Open, redis_url: str) -> None:
    client = browser()
    client.subscribe("D1", max_hz=2)
    client.next("snapshot")
    began = time.monotonic()
    with load(redis_url, 0.02) as told:
        got = [client.next("reading")[0]["payload"]["n"] for _ in range(4)]
        assert time.monotonic() - began > 1.4
        wait_until(lambda: told[-1] > 60)
    while got[-1] != told[-1]:
        got.append(client.next("reading")[0]["payload"]["n"])
    assert got == sorted(set(got)) and len(got) < 60, "those between were not sent"


def test_two_gateways_on_one_redis(start_gateway: Start, browser: Open, settings: Settings, redis_url: str) -> None:
    other = settings.model_copy(update={"realtime_port": free_port()})
    start_gateway(), start_gateway(other)
    clients = [browser(), browser(port=other.realtime_port)]
    for client in clients:
        client.subscribe("*")
        client.next("snapshot")
    sent = make_reading("D1", 1)
    tell(redis_url, sent)
    assert [client.next("reading") for client in clients] == [[sent], [sent]]


@pytest.mark.slow
def test_clients_of_a_killed_gateway_come_back_and_get_a_snapshot(
    start_gateway: Start, settings: Settings, redis_url: str
) -> None:
    gateway = start_gateway()
    clients = [Browser(settings.realtime_port, reconnection=True) for _ in range(10)]
    for number, client in enumerate(clients):
        client.client.on("connect", resubscriber(client, f"D{number}"), namespace="/telemetry")
        client.connect()
    try:
        with load(redis_url) as told:
            for client in clients:
                client.next("reading")
            gateway.kill()
            for client in clients:
                client.next("disconnect")
                drain(client)
            lost = told[-1]
            start_gateway()
            for number, client in enumerate(clients):
                [reading] = client.next("snapshot", 20)["readings"]
                assert reading["device_id"] == f"D{number}" and reading["payload"]["n"] >= lost
                assert client.next("reading")[0]["payload"]["n"] > reading["payload"]["n"]
    finally:
        for client in clients:
            client.close()


def resubscriber(client: Browser, device: str):  # type: ignore[no-untyped-def]
    def on_connect() -> None:
        client.client.emit("subscribe", {"type": "rt", "device_id": device}, namespace="/telemetry")

    return on_connect


def drain(client: Browser) -> None:
    while not client.inbox.empty():
        client.inbox.get()


@pytest.mark.slow
def test_a_gateway_that_lost_redis_catches_up(start_gateway: Start, settings: Settings, browser: Open,
                                              tmp_path_factory: pytest.TempPathFactory) -> None:  # fmt: skip
    with Valkey(tmp_path_factory.mktemp("own")) as own:
        start_gateway(settings.model_copy(update={"redis_url": type(settings.redis_url)(own.url)}))
        client = browser()
        client.subscribe("*")
        client.next("snapshot")
        tell(own.url, make_reading("D1", 1))
        assert client.next("reading")[0]["device_id"] == "D1"
        own.restart()
        tell(own.url, make_reading("D2", 1))
        assert client.next("reading", 20)[0]["device_id"] == "D2", "told while nobody listened"
        wait_until(lambda: answered(own.url, client), 20)


def answered(url: str, client: Browser) -> bool:
    tell(url, make_reading("D3", time.time() - 1_770_000_000))
    try:
        return bool(client.next("reading", 0.5))
    except AssertionError:
        return False
