"""The access list of the broker lets us announce, and only where that is switched on."""

from __future__ import annotations

from greenpower.catalog.registry import get_registry
from greenpower.homeassistant.announcement import KnownDevice, config_filter, messages_of, topics_used
from greenpower.ingest.sources.mqtt.access_list import access_list
from tests.homeassistant.test_announcement import MODES, reading


def matches(topic_filter: str, topic: str) -> bool:
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(one in ("+", level) for one, level in zip(wanted, levels, strict=True))


def test_every_topic_that_is_published_is_in_the_list() -> None:
    text = access_list({}, get_registry(), "greenpower", topics_used("ha"))
    allowed = [line.removeprefix("topic readwrite ") for line in text.splitlines() if " readwrite " in line]
    device = KnownDevice(device_id="M/1", types=(MODES,), readings={"modes": reading(MODES, "M/1")})
    for topic in messages_of(device, "ha"):
        assert any(matches(one, topic) for one in allowed), topic
    assert config_filter("ha") not in access_list({}, get_registry(), "greenpower")
