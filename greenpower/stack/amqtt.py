"""The broker of last resort: amqtt, where mosquitto cannot be had.

It speaks MQTT 3.1.1 only and keeps nothing for an offline session: frames that come while ingest is away are lost.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from greenpower.stack.error import EmbeddedError
from greenpower.stack.mosquitto import Mosquitto, speaks_mqtt
from greenpower.stack.part import Part

CONFIGURATION = """\
listeners:
  default:
    type: tcp
    bind: {host}:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""
RUN = "from amqtt.scripts.broker_script import main; main()"
WARNING = "frames that come while ingest is away are lost (amqtt keeps none)"


class Amqtt(Part):
    """amqtt on loopback; keeps no data."""

    name = "amqtt"
    setting = "MQTT_BROKER"

    def command(self) -> list[str]:
        if find_spec("amqtt") is None:
            raise EmbeddedError(f"no MQTT broker for this platform: install mosquitto, or set {self.setting}")
        return [sys.executable, "-c", RUN, "-c", str(self._configuration)]

    def prepare(self) -> None:
        super().prepare()
        self._configuration.write_text(CONFIGURATION.format(host=self.host, port=self.port))

    def answers(self) -> bool:
        return speaks_mqtt(self.host, self.port)

    @property
    def _configuration(self) -> Path:
        return self.home.resolve() / "amqtt.yaml"


def best_broker(home: Path, port: int) -> tuple[Part, str]:
    """mosquitto, else amqtt; and a warning, empty for mosquitto. Raises EmbeddedError where neither can be had."""
    mosquitto = Mosquitto(home / "mosquitto", port)
    try:
        mosquitto.command()
    except EmbeddedError as error:
        amqtt = Amqtt(home / "amqtt", port)
        try:
            amqtt.command()
        except EmbeddedError:
            raise error from None
        return amqtt, f"{error}. Using amqtt instead: {WARNING}"
    return mosquitto, ""
