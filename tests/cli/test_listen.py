"""`greenpower devices listen`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from greenpower.cli.listen import shown, shown_payload
from greenpower.cli.main import group
from greenpower.config import Settings
from tests.ingest.conftest import Publisher

SENT = {
    "listen/door": "open",
    "tele/listen/SENSOR": '{"Time":"2026-11-23T14:15:00","ENERGY":{"Power":64.2}}',
}


@pytest.fixture
def publisher(broker: tuple[str, int]) -> Iterator[Publisher]:
    """The broker retains what is sent, so that it comes when somebody listens; in the end it retains nothing."""
    client = Publisher(*broker)
    for topic, payload in SENT.items():
        client.send(topic, payload, retain=True)
    client.flush()
    yield client
    for topic in SENT:
        client.send(topic, "", retain=True)
    client.flush()
    client.close()


def test_a_plugin_and_its_setting_are_shown(
    settings: Settings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_BROKER", settings.mqtt_broker)
    monkeypatch.setenv("MQTT_PORT", str(settings.mqtt_port))
    runner = CliRunner()
    output = {}
    for topic in ("+/door", "+/listen/SENSOR"):
        result = runner.invoke(group, ["devices", "listen", "--topic", topic, "--messages", "1", "--seconds", "60"])
        assert result.exit_code == 0, result.output
        output[topic] = result.output
    assert "listen/door  open" in output["+/door"] and "GREENPOWER_PLUGINS" not in output["+/door"]
    assert "tele/listen/SENSOR" in output["+/listen/SENSOR"]
    assert output["+/listen/SENSOR"].endswith("GREENPOWER_PLUGINS=+tasmota\n")


def test_what_is_printed_is_one_line_of_printable_characters() -> None:
    assert shown("a\n b\x1b[31m") == "a b\\x1b[31m"
    assert len(shown("x" * 10_000)) == 100
    assert shown_payload(b"\xff\x00") == "hex ff00"
    assert shown_payload(b" ") == ""
