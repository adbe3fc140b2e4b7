"""One bad value in Redis, or one fault in what is told, costs that value: never the feed, and health says which."""

from __future__ import annotations

from typing import Any

import orjson
import redis

from greenpower.bus.keys import STATUS_CHANNEL, latest_key, reading_channel, status_key
from tests.process import Command
from tests.realtime.conftest import Open, Start, answers, make_reading, make_status, tell, tell_status
from tests.wait import wait_until

GOOD = make_reading("GOOD", 10)


def kept(reading: object) -> bytes:
    """A newest reading as Redis keeps it."""
    return str(GOOD["timestamp"]).encode() + orjson.dumps(reading)


BAD_LATEST: dict[Any, Any] = {
    "no-json": b"x" * 40,
    "empty": b"",
    "no-utf8": GOOD["timestamp"].encode() + b'{"type":"rt","device_id":"\xff\xfe"}',
    "number": kept(5),
    "null": kept(None),
    "list": kept([GOOD]),
    "text": kept("GOOD"),
    "no-device": kept({name: value for name, value in GOOD.items() if name != "device_id"}),
    "no-payload": kept({**GOOD, "device_id": "no-payload", "payload": None}),
    "payload-list": kept({**GOOD, "device_id": "payload-list", "payload": [1]}),
    "no-time": kept({**GOOD, "device_id": "no-time", "timestamp": None}),
    "odd-time": kept({**GOOD, "device_id": "odd-time", "timestamp": "tomorrow, I think, or so"}),
    "short-time": kept({**GOOD, "device_id": "short-time", "timestamp": "2026"}),
    "other-type": kept({**GOOD, "device_id": "other-type", "type": "solar"}),
    "other-device": kept({**GOOD, "device_id": "D1"}),
    "second-part": kept({**GOOD, "device_id": "second-part"}) + b"\n[]",
    "second-part-of-words": kept({**GOOD, "payload": ["word"]}) + b'\n{"payload":{}}',
    "deep": GOOD["timestamp"].encode() + b"[" * 5_000,
}
BAD_STATUS: dict[Any, Any] = {
    "no-json": b"x",
    "empty": b"",
    "no-utf8": b'{"type":"\xff"}',
    "number": b"5",
    "list": orjson.dumps([make_status("list")]),
    "no-type": orjson.dumps({**make_status("no-type"), "type": None}),
    "no-device": orjson.dumps({**make_status("no-device"), "device_id": 7}),
    "since-number": orjson.dumps({**make_status("since-number"), "since": 5}),
    "status-list": orjson.dumps({**make_status("status-list"), "status": []}),
    "other-type": orjson.dumps({**make_status("other-type"), "type": "solar"}),
}
BAD_MESSAGES = (
    b"", b"x", b"\xff\xfe", b"5", b"null", b"[]", b"{}", b'"text"', b'{"readings":5}', b'{"readings":{"a":1}}',
    b'{"type":"rt","readings":[5]}', b'{"type":"rt","readings":[{"device_id":[],"timestamp":{}}]}', b"[" * 5_000,
)  # fmt: skip


def test_bad_values_that_redis_keeps_cost_only_themselves(
    start_gateway: Start, browser: Open, store: redis.Redis, redis_url: str
) -> None:
    tell(redis_url, GOOD)
    tell_status(redis_url, make_status("GOOD"))
    store.hset(latest_key("rt"), mapping=BAD_LATEST)
    store.hset(status_key("rt"), mapping=BAD_STATUS)
    gateway = start_gateway()
    client = browser()
    client.subscribe("*")
    snapshot = client.next("snapshot")
    assert snapshot["readings"] == [GOOD] and snapshot["statuses"] == [make_status("GOOD")] and snapshot["last"]
    tell(redis_url, news := make_reading("GOOD", 11))
    assert client.next("reading") == [news]
    wait_until(lambda: gateway.metric("greenpower_realtime_skipped_total", source="latest") == len(BAD_LATEST))
    wait_until(lambda: gateway.metric("greenpower_realtime_skipped_total", source="status") == len(BAD_STATUS))
    assert gateway.metric("greenpower_loop_restarts_total", loop="feed") == 0


def test_a_key_of_another_redis_type_costs_only_what_it_would_hold(
    start_gateway: Start, browser: Open, store: redis.Redis, redis_url: str
) -> None:
    tell(redis_url, other := make_reading("E1", 1, "solar"))
    tell_status(redis_url, make_status("D1"))
    store.set(latest_key("rt"), "no hash")
    store.lpush(status_key("solar"), "no hash")
    gateway = start_gateway()
    client = browser()
    client.subscribe("*", "solar")
    assert client.next("snapshot")["readings"] == [other]
    client.subscribe("*")
    assert client.next("snapshot")["statuses"] == [make_status("D1")]
    store.publish(reading_channel("rt"), orjson.dumps({"type": "rt", "readings": [GOOD]}))
    assert client.next("reading") == [GOOD]
    wait_until(lambda: gateway.metric("greenpower_realtime_skipped_total", source="latest") == 1)
    assert answers(gateway)


def test_bad_messages_cost_only_themselves(gateway: Command, browser: Open, store: redis.Redis, redis_url: str) -> None:
    client = browser()
    client.subscribe("*")
    client.next("snapshot")
    for message in BAD_MESSAGES:
        store.publish(reading_channel("rt"), message)
        store.publish(STATUS_CHANNEL, message)
        store.publish("greenpower:revocations", message)
    store.publish(STATUS_CHANNEL, orjson.dumps([5, None, make_status("D1", "offline"), {**make_status(), "since": 1}]))
    store.publish(reading_channel("rt"), orjson.dumps({"readings": [None, {}, GOOD, {**GOOD, "payload": "x"}]}))
    assert client.next("device_status") == [make_status("D1", "offline")]
    assert client.next("reading") == [GOOD]
    tell(redis_url, news := make_reading("GOOD", 11))
    assert client.next("reading") == [news]
    assert gateway.metric("greenpower_loop_restarts_total", loop="feed") == 0
    wait_until(
        lambda: gateway.metric("greenpower_realtime_skipped_total", source="reading-channel") >= len(BAD_MESSAGES) + 3
    )
    assert answers(gateway)


def test_what_was_skipped_is_logged_once_per_place_and_kind(
    start_gateway: Start, browser: Open, store: redis.Redis
) -> None:
    gateway = start_gateway()
    before = gateway.log.read_text().count("\n")
    client = browser()
    client.subscribe("*")
    for _ in range(500):
        store.publish(reading_channel("rt"), b"x")
        store.publish(STATUS_CHANNEL, b"[5]")
    store.publish(reading_channel("rt"), orjson.dumps({"type": "rt", "readings": [GOOD]}))
    client.next("reading")
    assert 2 <= gateway.log.read_text().count("\n") - before < 10


def test_health_lists_the_loops(gateway: Command) -> None:
    loops = gateway.health()["loops"]
    assert {"feed", "ticker", "sweeper"} <= set(loops) and all(loop["ok"] for loop in loops.values())
