"""The gateway from outside: who may connect, what they may ask, what they get."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import redis
import socketio.exceptions

from greenpower.bus import revocation
from greenpower.realtime.request import MAX_REQUESTS_AT_ONCE
from tests.process import Command
from tests.realtime.conftest import Browser, Open, Start, make_reading, make_status, make_token, tell, tell_status
from tests.wait import wait_until


def refusal(port: int, token: str) -> str:
    client = Browser(port, token)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect()
    reason = str(client.next("connect_error"))
    assert client.quiet(0.05)
    client.close()
    return reason


def test_who_has_no_good_token_gets_nothing_but_a_reason(gateway: Command, store: redis.Redis) -> None:
    revocation.mark_revoked(store, ["gone"])
    reasons = {
        "": "token-missing",
        make_token(-5): "token-expired",
        make_token(key="k" * 40): "token-invalid",
        make_token(type="refresh"): "token-invalid",
        make_token(iss="elsewhere"): "token-invalid",
        make_token(fam=None): "token-invalid",
        make_token(fam="gone"): "token-revoked",
        make_token(scopes=["devices:read"]): "forbidden",
        "a.b.c": "token-invalid",
        "[" * 5_000: "token-invalid",
        "x" * 9_000: "token-invalid",
    }
    for token, reason in reasons.items():
        assert reason in refusal(gateway.settings.realtime_port, token)


def test_a_reading_reaches_who_asked_for_it_and_nobody_else(gateway: Command, browser: Open, redis_url: str) -> None:
    one, every, other = browser(), browser(), browser(polling=True)
    assert one.subscribe("D1") == {"ok": True, "type": "rt", "device_id": "D1"}
    assert every.subscribe("*")["ok"] and other.subscribe("D2")["ok"]
    for client in (one, every, other):
        assert client.next("snapshot")["last"]
    sent = make_reading("D1", 1, ua=229.097, zyggl=6.6905)
    tell(redis_url, sent)
    assert one.next("reading") == [sent] == every.next("reading")
    tell(redis_url, *(both := [make_reading("D1", 2), make_reading("D2", 2)]))
    assert one.next("reading") == both[:1]
    assert sorted(every.next("reading"), key=str) == sorted(both, key=str)
    assert other.next("reading") == both[1:]
    assert one.ask("unsubscribe", type="rt", device_id="D1") == {"ok": True, "type": "rt", "device_id": "D1"}
    assert one.ask("unsubscribe", type="rt", device_id="D1")["error"] == "not-subscribed"
    tell(redis_url, make_reading("D1", 3))
    assert every.next("reading")
    assert one.quiet() and other.quiet(0.1)
    metrics = httpx.get(f"http://127.0.0.1:{gateway.settings.realtime_port}/metrics", timeout=60).text
    assert "greenpower_realtime_clients 3.0" in metrics
    assert gateway.stop() == 0


def test_the_snapshot_has_the_newest_values_of_before(start_gateway: Start, browser: Open, redis_url: str) -> None:
    tell(redis_url, *(make_reading(f"D{number}", 10) for number in range(600)))
    tell(redis_url, late := make_reading("D5", 5, ua=1.0), make_reading("D6", 11, ua=2.0))
    tell_status(redis_url, make_status("D5"), make_status("D9999", "offline"), loud=False)
    start_gateway()
    client = browser()
    client.subscribe("*")
    parts: list[Any] = []
    readings: dict[str, Any] = {}
    # The client hands out events from threads: the last part may come before the one before it.
    while len(readings) < 600 or not any(part["last"] for part in parts):
        parts.append(client.next("snapshot"))
        readings |= {reading["device_id"]: reading for reading in parts[-1]["readings"]}
    statuses = {status["device_id"]: status["status"] for part in parts for status in part["statuses"]}
    assert len(parts) > 1 and len(readings) == 600 and [part["last"] for part in parts].count(True) == 1
    assert readings["D5"]["timestamp"] > late["timestamp"] and readings["D6"]["payload"] == {"ua": 2.0}
    assert statuses == {"D5": "online", "D9999": "offline"}
    client.subscribe("D6", fields=["ua", "nothing"])
    assert client.next("snapshot")["readings"] == [make_reading("D6", 11, ua=2.0)]


@pytest.mark.usefixtures("gateway")
def test_late_readings_are_not_sent_and_parts_are_joined(browser: Open, redis_url: str) -> None:
    client = browser()
    client.subscribe("D1")
    client.next("snapshot")
    tell(redis_url, make_reading("D1", 10, ua=1.0))
    assert client.next("reading")[0]["payload"] == {"ua": 1.0}
    tell(redis_url, make_reading("D1", 9, ua=9.0))
    tell(redis_url, make_reading("D1", 10, ub=2.0, ua=7.0))
    assert client.next("reading")[0]["payload"] == {"ua": 1.0, "ub": 2.0}
    other = browser()
    other.subscribe("D1")
    assert other.next("snapshot")["readings"][0]["payload"] == {"ua": 1.0, "ub": 2.0}


@pytest.mark.usefixtures("gateway")
def test_what_is_asked_wrongly_is_refused_with_a_reason(browser: Open) -> None:
    client = browser()
    assert client.subscribe(type_name="nothing")["error"] == "unknown-type"
    for bad in (
        {"device_id": ""},
        {"device_id": "x" * 300},
        {"fields": "ua"},
        {"max_hz": 0},
        {"max_hz": 1e9},
        {"y": 1},
    ):
        answer = client.ask("subscribe", **{"type": "rt", "device_id": "D1", **bad})
        assert answer["ok"] is False and answer["error"] == "bad-request" and answer["detail"], bad
    others: list[object] = [None, [], "rt", 5, {"type": {"$ne": 1}, "device_id": "*"}]
    for data in others:
        assert client.client.call("subscribe", data, namespace="/telemetry")["error"] == "bad-request"
    assert all(client.subscribe(f"D{number}")["ok"] for number in range(200))
    assert client.subscribe("one more")["error"] == "too-many-subscriptions"
    assert client.subscribe("D7", max_hz=1)["ok"], "replacing one is no new one"
    # Without waiting for the answers: a slow machine would give as many requests back meanwhile.
    for _ in range(2 * MAX_REQUESTS_AT_ONCE):
        client.client.emit("subscribe", {"type": "rt", "device_id": "D7"}, namespace="/telemetry")
    assert client.subscribe("D7")["error"] == "too-many-requests"


@pytest.mark.usefixtures("gateway")
def test_a_limited_token_sees_what_it_may(browser: Open, redis_url: str) -> None:
    tell(redis_url, make_reading("D1", 1), make_reading("D2", 1))
    tell_status(redis_url, make_status("D1"), make_status("D2"))
    client = browser(make_token(types=["rt"], devices=["D1"], scopes=["telemetry:read"]))
    assert client.subscribe("D2")["error"] == client.subscribe("*", "solar")["error"] == "forbidden"
    assert client.subscribe("*")["ok"] and client.subscribe("D1")["ok"]
    for _ in range(2):
        snapshot = client.next("snapshot")
        assert [reading["device_id"] for reading in snapshot["readings"]] == ["D1"] and snapshot["statuses"] == []
    tell(redis_url, make_reading("D1", 2), make_reading("D2", 2))
    tell_status(redis_url, make_status("D1", "offline", "2026-01-02T00:00:00.000Z"))
    assert [reading["device_id"] for reading in client.next("reading")] == ["D1"]
    tell(redis_url, make_reading("D2", 3))
    assert client.quiet()
    assert client.inbox.empty(), "no status without the scope"


@pytest.mark.usefixtures("gateway")
def test_an_expired_and_a_revoked_token_end_the_connection_with_a_reason(browser: Open, store: redis.Redis) -> None:
    short, renewed, revoked = browser(make_token(3)), browser(make_token(3)), browser(make_token(fam="ends"))
    assert renewed.ask("renew", token=make_token(600))["ok"]
    assert renewed.ask("renew", token=make_token(600, sub="2"))["error"] == "other-rights"
    assert renewed.ask("renew", token="x")["error"] == "token-invalid"
    assert renewed.ask("renew")["error"] == "token-missing"
    revocation.mark_revoked(store, ["ends"])
    assert revoked.next("ended") == {"reason": "token-revoked"}
    assert short.next("ended") == {"reason": "token-expired"}
    for client in (short, revoked):
        client.next("disconnect")
        wait_until(lambda client=client: not client.client.connected)  # type: ignore[misc]
    assert renewed.subscribe("*")["ok"]


@pytest.mark.usefixtures("gateway")
def test_a_change_of_status_is_told(browser: Open, redis_url: str) -> None:
    client = browser()
    client.subscribe("D1")
    tell_status(redis_url, away := make_status("D1", "offline"), make_status("D2", "offline"))
    assert client.next("device_status") == [away]
    tell_status(redis_url, {**away, "last_heard": "2026-01-01T00:00:05.000Z"})
    tell_status(redis_url, back := make_status("D1", "online", "2026-01-03T00:00:00.000Z"))
    assert client.next("device_status") == [back]


def test_pages_of_the_same_host_may_connect_and_others_not(gateway: Command) -> None:
    address = f"http://127.0.0.1:{gateway.settings.realtime_port}/socket.io/?EIO=4&transport=polling"
    for origin, code in {
        f"http://127.0.0.1:{gateway.settings.api_port}": 200,
        f"http://127.0.0.1:{gateway.settings.realtime_port}": 200,
        "http://127.0.0.1:1": 400,
        "https://elsewhere.example": 400,
        "http://[": 400,
    }.items():
        assert httpx.get(address, headers={"Origin": origin}, timeout=60).status_code == code, origin
