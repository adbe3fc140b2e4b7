"""What the broker retains: as much as there is to say, through changes, removals, and losses on either side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from redis import Redis

from greenpower.bus.keys import HOMEASSISTANT
from greenpower.config import Settings
from greenpower.control.publish import visit
from greenpower.homeassistant.announcement import MARK_TOPIC, STATE_PREFIX, KnownDevice, messages_of
from greenpower.homeassistant.publish import announce
from tests.homeassistant.test_announcement import MODES, reading

FIRST = KnownDevice(device_id="M1", types=(MODES,), readings={"modes": reading(MODES, "M1", values=1)})
SECOND = KnownDevice(device_id="M/2", types=(MODES,))


class Home:
    """Home Assistant's place on the broker, and what a run of the job does there."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self.settings = settings
        self.redis = redis
        self.prefix = f"ha{uuid4().hex[:8]}"

    def announce(self, *devices: KnownDevice) -> int:
        with visit(self.settings) as broker:
            return announce(broker, self.redis, devices, self.prefix)

    def retained(self) -> dict[str, bytes]:
        """What somebody who subscribes now gets, without the mark."""
        with visit(self.settings) as broker:
            configs, states = broker.read_retained(f"{self.prefix}/#"), broker.read_retained(f"{STATE_PREFIX}#")
        assert configs is not None and states is not None
        return {topic: payload for topic, payload in {**configs, **states}.items() if topic != MARK_TOPIC}

    def forget(self, *topics: str) -> None:
        """Take away what the broker retains."""
        with visit(self.settings) as broker:
            broker.retain(dict.fromkeys(topics, b""))

    def wanted(self, *devices: KnownDevice) -> dict[str, bytes]:
        return {topic: payload for device in devices for topic, payload in messages_of(device, self.prefix).items()}


@pytest.fixture
def home(settings: Settings) -> Iterator[Home]:
    with Redis.from_url(settings.need("REDIS_URL")) as redis:
        home = Home(settings, redis)
        yield home
        home.forget(*home.retained(), MARK_TOPIC)


def test_only_what_has_changed_is_published(home: Home) -> None:
    assert home.announce(FIRST, SECOND) == 3
    assert home.retained() == home.wanted(FIRST, SECOND)
    assert home.announce(FIRST, SECOND) == 0
    changed = replace(FIRST, readings={"modes": reading(MODES, "M1", values=2)})
    assert home.announce(changed, SECOND) == 1
    assert home.retained() == home.wanted(changed, SECOND)
    named = replace(SECOND, name="Pump")
    assert home.announce(changed, named) == 1
    assert home.retained() == home.wanted(changed, named)


def test_a_device_that_is_removed_leaves_nothing(home: Home) -> None:
    home.announce(FIRST, SECOND)
    assert home.announce(SECOND) == 2
    assert home.retained() == home.wanted(SECOND)
    home.announce()
    assert home.retained() == {} and set(home.redis.hgetall(HOMEASSISTANT)) == {MARK_TOPIC.encode()}


def test_a_broker_that_lost_everything_gets_it_again(home: Home) -> None:
    home.announce(FIRST, SECOND)
    home.forget(*home.retained(), MARK_TOPIC)
    assert home.retained() == {}
    home.announce(FIRST, SECOND)
    assert home.retained() == home.wanted(FIRST, SECOND)
    assert home.announce(FIRST, SECOND) == 0


def test_a_device_removed_while_redis_was_emptied_leaves_nothing(home: Home) -> None:
    home.announce(FIRST, SECOND)
    others = f"{home.prefix}/device/somebody/config"
    with visit(home.settings) as broker:
        broker.retain({others: b"{}"})
    home.redis.flushall()
    home.announce(SECOND)
    assert home.retained() == {**home.wanted(SECOND), others: b"{}"}
    assert home.announce(SECOND) == 0


def test_what_was_not_acknowledged_is_published_again(home: Home) -> None:
    with visit(home.settings) as broker:
        broker.retain = lambda messages: []  # type: ignore[method-assign]
        assert announce(broker, home.redis, [FIRST], home.prefix) == 0
    assert home.announce(FIRST) == 2 and home.retained() == home.wanted(FIRST)
