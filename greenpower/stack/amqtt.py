"""amqtt, the broker of last resort, for machines without mosquitto.

It speaks MQTT 3.1.1 only and keeps nothing for an offline session: frames sent while ingest is down are lost.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from greenpower.config import ConfigError
from greenpower.stack.home import write_where_new
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
WARNING = "it keeps no frames while ingest is down, so these are lost"


class Amqtt(Part):
    """amqtt on loopback; keeps no data."""

    name = "amqtt"
    setting = "MQTT_BROKER"

    def command(self) -> list[str]:
        if find_spec("amqtt") is None:
            raise ConfigError(f"no MQTT broker for this platform: install mosquitto or set {self.setting}")
        return [sys.executable, "-c", RUN, "-c", str(self._configuration)]

    def written(self) -> list[Path]:
        return [self._configuration]

    def prepare(self) -> None:
        super().prepare()
        write_where_new(self._configuration, CONFIGURATION.format(host=self.host, port=self.port))

    def answers(self) -> bool:
        return speaks_mqtt(self.host, self.port)

    @property
    def _configuration(self) -> Path:
        return self.home.resolve() / "amqtt.yaml"


def best_broker(home: Path, port: int) -> tuple[Part, str]:
    """mosquitto, else amqtt; and a warning, empty for mosquitto. Raises ConfigError if there is neither."""
    mosquitto = Mosquitto(home / "mosquitto", port)
    try:
        mosquitto.command()
    except ConfigError as error:
        amqtt = Amqtt(home / "amqtt", port)
        try:
            amqtt.command()
        except ConfigError:
            raise error from None
        return amqtt, f"{error}. Using amqtt instead: {WARNING}"
    return mosquitto, ""
