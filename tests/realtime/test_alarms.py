"""Which clients get which alarms, without a gateway."""

from __future__ import annotations

from typing import Any

import pytest

from greenpower.realtime.cache import LatestCache
from greenpower.realtime.client import MAX_WAITING_ALARMS, Client
from greenpower.realtime.token import SocketClaims
from greenpower.realtime.value import BadValue, check_alarm


def client(visible: frozenset[str] | None = None, **claims: Any) -> Client:
    given = SocketClaims(subject="1", family="f", expires=0.0, **claims)
    return Client(sid="s", eio_sid="e", claims=given, visible=visible, wants_alarms=True)


def event(number: int, type_name: str | None, device: str | None) -> dict[str, Any]:
    return {"id": f"a-{number}", "event": "raised", "type": type_name, "device_id": device}


EVENTS = [event(1, "t", "A"), event(2, "t", "B"), event(3, "u", "A"), event(4, None, None)]


@pytest.mark.parametrize(
    ("one", "seen"),
    [
        (client(), [1, 2, 3, 4]),
        (client(frozenset({"A"})), [1, 3]),
        (client(frozenset()), []),
        (client(devices=frozenset({"B"})), [2]),
        (client(types=frozenset({"t"})), [1, 2]),
    ],
)
def test_a_client_gets_alarms_of_what_it_may_see(one: Client, seen: list[int]) -> None:
    assert one.note_alarms(EVENTS) == bool(seen) == one.waits
    message = one.take(LatestCache(), 0.0)
    found = None if message is None else message[1]
    assert found == ({"events": [EVENTS[number - 1] for number in seen], "missed": 0} if seen else None)
    assert one.take(LatestCache(), 0.0) is None


def test_a_client_that_did_not_ask_gets_none() -> None:
    one = client()
    one.wants_alarms = False
    assert not one.note_alarms(EVENTS) and not one.waits


def test_what_it_may_not_see_any_more_is_not_sent() -> None:
    one = client(frozenset({"A"}))
    one.note_alarms(EVENTS)
    one.visible = frozenset()
    assert one.take(LatestCache(), 0.0) is None


def test_a_slow_client_is_told_that_it_missed_some() -> None:
    one = client()
    one.note_alarms([event(number, "t", "A") for number in range(MAX_WAITING_ALARMS + 5)])
    name, message = one.take(LatestCache(), 0.0) or ("", None)
    assert name == "alarm" and isinstance(message, dict)
    assert (len(message["events"]), message["missed"]) == (MAX_WAITING_ALARMS, 5)


@pytest.mark.parametrize("bad", ["text", {}, {"id": 1, "event": "x"}, {"id": "a", "event": "x", "type": 5}])
def test_what_is_no_alarm_is_refused(bad: object) -> None:
    with pytest.raises(BadValue):
        check_alarm(bad)
