"""Realtime for those who are restricted to service zones: only values of their devices, as they are now."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from greenpower.bus.visibility import VISIBLE_CHANNEL, VISIBLE_KEY, write_visible
from tests.process import Command
from tests.realtime.conftest import Browser, Open, make_reading, make_status, make_token, tell, tell_status
from tests.wait import wait_until

SUBJECT = "7"


def guest(browser: Open, **claims: Any) -> Browser:
    return browser(make_token(sub=SUBJECT, zones=True, **claims))


def devices(message: Any) -> set[str]:
    return {reading["device_id"] for reading in message}


def test_only_values_of_visible_devices_come(
    gateway: Command, browser: Open, redis_url: str, store: redis.Redis
) -> None:
    write_visible(store, {SUBJECT: ["B1", "B2"]})
    tell(redis_url, *(make_reading(name, 1) for name in ("A1", "B1", "free")))
    tell_status(redis_url, make_status("A1"), make_status("B1"))
    everybody, one = browser(), guest(browser)
    assert everybody.subscribe("*")["ok"]
    assert devices(everybody.next("snapshot")["readings"]) == {"A1", "B1", "free"}
    assert one.subscribe("*")["ok"]
    snapshot = one.next("snapshot")
    assert devices(snapshot["readings"]) == {"B1"} == devices(snapshot["statuses"]) and snapshot["last"]
    # A device of elsewhere is refused as one that does not exist.
    assert one.subscribe("A1")["error"] == one.subscribe("nothing")["error"] == "forbidden"
    assert one.subscribe("B2")["ok"]
    tell(redis_url, *(make_reading(name, 2) for name in ("A1", "free")))
    tell_status(redis_url, make_status("A1", "offline", "2026-01-02T00:00:00.000Z"))
    tell(redis_url, make_reading("B1", 2), make_reading("B2", 2))
    seen: set[str] = set()
    while seen != {"B1", "B2"}:
        seen |= devices(one.next("reading"))
    assert gateway.stop() == 0


def test_a_change_holds_for_those_who_are_connected(
    gateway: Command, browser: Open, redis_url: str, store: redis.Redis
) -> None:
    write_visible(store, {SUBJECT: ["B1"]})
    tell(redis_url, *(make_reading(name, 1) for name in ("A1", "B1")))
    one = guest(browser)
    assert one.subscribe("*")["ok"] and devices(one.next("snapshot")["readings"]) == {"B1"}
    # A1 moves into the zone, B1 out of it: the newest value of A1 comes by itself.
    write_visible(store, {SUBJECT: ["A1"]})
    assert devices(one.next("reading")) == {"A1"}
    tell(redis_url, make_reading("B1", 2))
    tell(redis_url, make_reading("A1", 2))
    assert devices(one.next("reading")) == {"A1"}
    # The last zone is taken; then one is given again.
    write_visible(store, {SUBJECT: []})
    wait_until(lambda: one.subscribe("A1").get("error") == "forbidden")
    tell(redis_url, make_reading("A1", 3), make_reading("B1", 3))
    write_visible(store, {SUBJECT: ["B1"]})
    assert one.next("reading") == [make_reading("B1", 3)]
    assert gateway.stop() == 0


def test_who_is_restricted_sees_nothing_without_an_entry(
    gateway: Command, browser: Open, redis_url: str, store: redis.Redis
) -> None:
    tell(redis_url, make_reading("B1", 1))
    one, other = guest(browser), browser(make_token(sub="8"))
    assert one.subscribe("*")["ok"] and one.next("snapshot")["readings"] == []
    assert other.subscribe("*")["ok"] and devices(other.next("snapshot")["readings"]) == {"B1"}
    # A key that is restricted while it has a token that does not say so.
    write_visible(store, {"8": []})
    wait_until(lambda: other.subscribe("B1").get("error") == "forbidden")
    # A bad entry allows nothing.
    for bad in ("{", "7", '"B1"'):
        store.hset(VISIBLE_KEY, SUBJECT, bad)
        store.publish(VISIBLE_CHANNEL, SUBJECT)
        assert one.subscribe("B1")["error"] == "forbidden"
    assert one.ask("renew", token=make_token(sub=SUBJECT))["error"] == "other-rights"
    assert gateway.stop() == 0


@pytest.mark.parametrize("named", ["B1", None])
def test_a_token_of_some_devices_has_no_more_by_its_zones(
    gateway: Command, browser: Open, redis_url: str, store: redis.Redis, named: str | None
) -> None:
    write_visible(store, {SUBJECT: ["B1", "B2"]})
    tell(redis_url, *(make_reading(name, 1) for name in ("A1", "B1", "B2")))
    one = guest(browser, devices=["A1", "B1"]) if named else guest(browser)
    assert one.subscribe("*")["ok"]
    assert devices(one.next("snapshot")["readings"]) == ({"B1"} if named else {"B1", "B2"})
    assert gateway.stop() == 0
