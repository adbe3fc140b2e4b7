"""Relays: confirmed by who gives the command, sent at most once, off until the site lets them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

from greenpower.api.http.context import get_context, set_context
from greenpower.control.send import UNKNOWN_WHETHER_SENT
from greenpower.sql import DeviceStatus, RoleName
from greenpower.sql.time import now
from tests.api.conftest import refused
from tests.control.conftest import World


def test_a_relay_is_switched_by_who_confirms_it(world: World) -> None:
    number, name = world.device()
    token = world.api.user("olga", RoleName.OPERATOR)["access"]
    other = world.api.user("omar", RoleName.OPERATOR)["access"]
    path = f"/api/devices/{number}/commands/"
    body = {"command": "relay", "parameters": {"on": True}}
    with closing(world.meter(name)) as meter:
        first = world.give(number, "relay", 202, token, on=True)
        assert first["expires_in"] == 60
        world.work()
        assert world.api.get(path).get_json()["count"] == 0 and not meter.told
        confirmed = {**body, "confirmation": first["confirmation"]}
        for wrong, who in (
            (confirmed, other),
            ({**confirmed, "parameters": {"on": False}}, token),
            ({**body, "confirmation": "x"}, token),
        ):
            assert refused(world.api.ask("POST", path, wrong, token=who), 422)
        given = world.api.good("POST", path, confirmed, code=201, token=token)
        found = world.until(number, given["id"], "done")
        assert found["requested_by"] == "olga" and meter.memory == {"do1": "1"}
        assert refused(world.api.ask("POST", path, confirmed, token=token), 409), "good once"
        assert len(meter.told) == 1


def test_a_relay_is_never_sent_twice(world: World) -> None:
    number, name = world.device()
    with closing(world.meter(name)) as meter:
        given = world.switch(number, on=False)
        world.claim(given["id"], now() - timedelta(minutes=1))
        found = world.until(number, given["id"], "failed")
        assert found["detail"] == UNKNOWN_WHETHER_SENT and not meter.told


def test_an_old_confirmation_is_none(world: World, monkeypatch: Any) -> None:
    number, _ = world.device()
    first = world.give(number, "relay", 202, on=True)
    monkeypatch.setattr("greenpower.control.interlock.CONFIRMATION_SECONDS", -1)
    body = {"command": "relay", "parameters": {"on": True}, "confirmation": first["confirmation"]}
    assert refused(world.api.ask("POST", f"/api/devices/{number}/commands/", body), 422)


def test_relays_are_off_until_the_site_lets_them_and_the_device_is_online(world: World) -> None:
    number, _ = world.device(status=DeviceStatus.OFFLINE)
    path, body = f"/api/devices/{number}/commands/", {"command": "relay", "parameters": {"on": True}}
    response = world.api.ask("POST", path, body)
    assert refused(response, 409) and "DOWNLINK_INTERLOCKED" not in response.get_json()["message"]
    number, _ = world.device()
    locked = world.settings.model_copy(update={"downlink_interlocked": "33B1other"})
    with world.app.app_context():
        before = get_context()
        set_context(world.app, replace(before, settings=locked))
    try:
        response = world.api.ask("POST", f"/api/devices/{number}/commands/", body)
        assert refused(response, 409) and "DOWNLINK_INTERLOCKED" in response.get_json()["message"]
    finally:
        set_context(world.app, before)
