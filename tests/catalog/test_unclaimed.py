"""Messages that nothing takes in, and the plugin that would."""

from __future__ import annotations

import pytest

from greenpower.catalog.registry import discover
from greenpower.catalog.selection import ALL
from greenpower.catalog.unclaimed import MAX_SAMPLES, MAX_UNKNOWN, Unclaimed, adopted

KNOWN = discover(plugins=ALL)


def test_messages_are_sorted_by_the_plugin_that_reads_them() -> None:
    heard = Unclaimed(discover(plugins="+opendtu"), KNOWN)
    for number in range(10):
        heard.hear(f"N/c0619ab4d5e6/grid/{number}/ProductName", b'{"value": "meter"}')
        heard.hear(f"N/c0619ab4d5e6/grid/{number}/Ac/Power", b'{"value": 5}')
    heard.hear("shellies/shellyem-B9F1A2/emeter/0/power", b"64.20")
    heard.hear("tele/desk/STATE", b'{"Time": "2026-11-23T14:15:00", "Uptime": "1T"}')
    heard.hear("solar/116182940177/0/power", b"5")
    heard.hear("MQTT_RT_DATA", b"{}")
    heard.hear("any/events/rpc", b"\xff")
    heard.hear("door/7", b"open")
    heard.hear("door/7", b"closed")
    assert (heard.claimed, heard.messages) == (2, 25)
    victron = heard.fits["victron"]
    assert (victron.messages, victron.read, len(victron.topics), len(victron.samples)) == (20, 10, 20, MAX_SAMPLES)
    assert all(topic.endswith("Ac/Power") for topic in victron.samples)
    assert heard.fits["tasmota"].read == 0
    assert heard.plugins == ("victron", "shelly_gen1")
    assert heard.unknown == {"any/events/rpc": b"\xff", "door/7": b"open"}


def test_what_is_kept_is_bounded() -> None:
    heard = Unclaimed(discover(), KNOWN)
    for number in range(MAX_UNKNOWN + 7):
        heard.hear(f"a/{number}", b"x" * 10_000)
    assert (len(heard.unknown), heard.more) == (MAX_UNKNOWN, 7)
    assert max(map(len, heard.unknown.values())) < 1_000


@pytest.mark.parametrize(
    ("plugins", "result"),
    [
        ("", "+victron,+ttn"),
        ("+shelly, -rt", "+shelly,-rt,+victron,+ttn"),
        ("rt,shelly", "rt,shelly,victron,ttn"),
        ("-ttn,+shelly", "+shelly,+victron,+ttn"),
    ],
)
def test_the_setting_keeps_what_it_says(plugins: str, result: str) -> None:
    assert adopted(plugins, ("victron", "ttn")) == result
    in_force = {datatype.name for datatype in discover(plugins=result)}
    assert in_force == {datatype.name for datatype in discover(plugins=plugins)} | {"victron", "ttn"}
