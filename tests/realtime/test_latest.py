"""What Redis keeps: the newest of each device, whatever comes in whatever order, and not for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from greenpower.bus.keys import latest_key, reading_channel, status_key
from greenpower.bus.latest import MAX_KEPT_BYTES, forget_gone
from greenpower.bus.message import Message, newer, read_latest, reading_message, stamp
from tests.heard import listen, next_heard
from tests.realtime.conftest import make_reading, make_status, tell, tell_status


def kept(client: redis.Redis, device: str) -> Message | None:
    value: Any = client.hget(latest_key("rt"), device)
    return None if value is None else read_latest(value)


READINGS = st.lists(
    st.builds(
        make_reading,
        st.sampled_from(["D1", "D2", 'quote " \\ \n', "é€😀"]),
        st.sampled_from([-60.001, 0, 0.001, 1, 3_600, 86_400 * 365]),
        ua=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
    )
    | st.builds(make_reading, st.just("D1"), st.sampled_from([0, 1]), ub=st.floats(0, 1)),
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings=READINGS)
def test_redis_keeps_the_newest_to_the_last_digit(readings: list[Message], store: redis.Redis, redis_url: str) -> None:
    store.flushall()
    plain: dict[str, Message] = {}
    for reading in readings:
        tell(redis_url, reading)
        device = reading["device_id"]
        plain[device] = newer(plain.get(device), reading) or plain[device]
    assert {device: kept(store, device) for device in plain} == plain


def test_one_message_tells_all_that_is_new_and_nothing_late(store: redis.Redis, redis_url: str) -> None:
    tell(redis_url, make_reading("D1", 10), make_reading("D2", 10))
    with store.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        listen(pubsub, reading_channel("rt"))
        late, more, new = make_reading("D1", 9), make_reading("D2", 10, ub=1.0), make_reading("D3", 1)
        assert tell(redis_url, late, more, new) is False, "nobody has said that it holds everything"
        assert orjson.loads(next_heard(pubsub)) == {"type": "rt", "readings": [more, new]}
        tell(redis_url, late)
        store.publish(reading_channel("rt"), b"end")
        assert next_heard(pubsub) == b"end", "nothing was told"


def test_a_reading_as_a_whole_replaces_its_parts(store: redis.Redis, redis_url: str) -> None:
    tell(redis_url, make_reading("D1", 1, ua=1.0))
    tell(redis_url, make_reading("D1", 1, ua=1.0, ub=2.0), whole=True)
    found = kept(store, "D1")
    assert found is not None and found["payload"] == {"ua": 1.0, "ub": 2.0}
    tell(redis_url, make_reading("D1", 0, ua=9.0), whole=True)
    assert kept(store, "D1") == found


def test_a_part_told_while_the_whole_was_read_stays(store: redis.Redis, redis_url: str) -> None:
    whole, part = make_reading("D1", 1, ua=1.0), make_reading("D1", 1, ub=2.0)
    tell(redis_url, part)
    for _ in range(3):
        tell(redis_url, whole, whole=True)
        found = kept(store, "D1")
        assert found is not None and found["payload"] == {"ua": 1.0, "ub": 2.0}
    value: Any = store.hget(latest_key("rt"), "D1")
    assert value.count(b"\n") == 1


def test_what_is_too_long_or_too_much_is_not_kept(store: redis.Redis, redis_url: str) -> None:
    fields: dict[str, Any] = {f"field_{number}": 1.0 for number in range(MAX_KEPT_BYTES // 10)}
    tell(redis_url, make_reading("LONG", 1, **fields))
    assert kept(store, "LONG") is None
    for number in range(MAX_KEPT_BYTES // 100):
        if number % 100 == 0:
            size: Any = store.hstrlen(latest_key("rt"), "PARTS")
            assert size <= MAX_KEPT_BYTES
        part: dict[str, Any] = {f"field_{number}": 1.0}
        tell(redis_url, make_reading("PARTS", 1, **part))


def test_devices_that_are_not_known_any_more_are_forgotten(store: redis.Redis, redis_url: str) -> None:
    now = datetime.now(UTC)
    fresh = reading_message("rt", "FRESH", now, now, {"ua": 1.0})
    tell(redis_url, make_reading("KNOWN"), make_reading("GONE"), fresh)
    tell_status(redis_url, make_status("KNOWN"), make_status("GONE"))

    async def go() -> int:
        client = Redis.from_url(redis_url)
        try:
            return await forget_gone(client, "rt", {"KNOWN"}, now)
        finally:
            await client.aclose()

    assert asyncio.run(go()) == 1
    left: Any = store.hkeys(latest_key("rt"))
    assert sorted(left) == [b"FRESH", b"KNOWN"]
    assert store.hkeys(status_key("rt")) == [b"KNOWN"]


def test_a_value_without_a_stamp_goes(store: redis.Redis, redis_url: str) -> None:
    foreign: dict[Any, Any] = {"GONE": "zzz", "KNOWN": "zzz", "ZONELESS": "2999-01-01T00:00:00.0000"}
    store.hset(latest_key("rt"), mapping=foreign)

    async def go() -> int:
        async with Redis.from_url(redis_url) as client:
            return await forget_gone(client, "rt", {"KNOWN"}, datetime.now(UTC))

    assert asyncio.run(go()) == 2
    tell(redis_url, make_reading("KNOWN", 1))
    assert kept(store, "KNOWN") == make_reading("KNOWN", 1)


def test_stamps_are_of_one_length_and_in_order() -> None:
    start = datetime(2026, 1, 26, 12, tzinfo=UTC)
    times = [start + timedelta(milliseconds=number * 333) for number in range(50)]
    texts = [stamp(time) for time in times]
    assert texts == sorted(texts) and {len(text) for text in texts} == {24}
    assert texts[0] == "2026-01-26T12:00:00.000Z"
