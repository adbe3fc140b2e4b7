"""Simulated devices of the catalogue: what they send is what the plugin's parser takes, value for value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from greenpower.catalog.registry import Registry, discover
from greenpower.catalog.site import read_site
from greenpower.datatype import Frame, Noted
from greenpower.datatype.check import Checker
from greenpower.simulator.device import SimulatedDevice
from greenpower.simulator.fleet import can_simulate, make_fleet
from tests.ingest.catalogue import SITE

AT = datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC)
PUBLISHING = (
    "shelly_gen1", "shelly", "tasmota", "zigbee2mqtt", "opendtu", "victron", "chirpstack", "ttn", "homeassistant",
)  # fmt: skip
#: of these nothing has been sent that could be sent again: a server would have to be played
DIALLED_ONLY = ("dsmr", "sunspec")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    path: Path = tmp_path_factory.mktemp("site") / "site.toml"
    path.write_text(SITE)
    return discover(read_site(path), ",".join((*PUBLISHING, *DIALLED_ONLY, "sdm")))


def taken(registry: Registry, device: SimulatedDevice, at: datetime) -> dict[str, float]:
    """What the plugin reads of a device's packets, each on the topic that the registry finds it by."""
    found: dict[str, float] = {}
    for topic, payload in device.send(device.sample(at)):
        match = registry.match_topic(topic)
        assert match is not None and match.datatype is device.datatype, topic
        levels = next(claim for claim in device.datatype.topics if claim.matches(topic)).levels(topic)
        frame = Frame(topic=topic, payload=payload, device=match.claim.device, levels=levels)
        for reading in device.datatype.parse(frame):
            assert not isinstance(reading, Noted), topic
            assert reading.device_id == device.device_id, topic
            values, left_out = Checker(device.datatype).check(reading.values)
            assert not left_out, (topic, payload)
            assert reading.stamp is None or abs(reading.stamp.replace(tzinfo=UTC) - at) < timedelta(seconds=1)
            found |= values
    return found


@pytest.mark.parametrize("name", PUBLISHING)
def test_what_is_sent_is_taken(registry: Registry, name: str) -> None:
    devices = make_fleet([registry[name]], 3, 0, UTC).devices
    assert len({device.device_id for device in devices}) == len(devices) >= 1
    for device in devices:
        before, after = (taken(registry, device, AT + timedelta(hours=hours)) for hours in (0, 1))
        assert before.keys() == after.keys() and before, device.device_id
        for field in device.datatype.fields:
            if field.name in before and field.kind == "counter":
                assert after[field.name] >= before[field.name], field.name


def test_a_fleet_of_single_values_has_the_fields_of_its_claim(registry: Registry) -> None:
    (device,) = make_fleet([registry["victron"]], 1, 0, UTC).devices
    values = taken(registry, device, AT)
    sent = device.measure(AT)
    assert len(values) > 30 and values["active_energy"] == pytest.approx(sent["active_energy"], abs=0.01)
    assert values["active_power"] == pytest.approx(sent["active_power"], abs=0.001)


def test_it_is_the_same_each_time(registry: Registry) -> None:
    one, other = (make_fleet([registry["opendtu"]], 4, 7, UTC).devices[3] for _ in range(2))
    assert one.send(one.sample(AT)) == other.send(other.sample(AT))


def test_a_meter_behind_a_gateway_too(registry: Registry) -> None:
    assert make_fleet([registry["sdm"]], 2, 0, UTC).gateways


@pytest.mark.parametrize("name", DIALLED_ONLY)
def test_others_say_why(registry: Registry, name: str) -> None:
    assert name in can_simulate(registry[name], UTC)


def test_without_fields_it_says_what_to_do() -> None:
    bare = discover(None, "homeassistant")["homeassistant"]
    assert "site file" in can_simulate(bare, UTC)
