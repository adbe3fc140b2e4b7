"""The embedded MQTT broker: a real mosquitto, from PATH or unpacked from its Debian package."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from greenpower.config import ConfigError
from greenpower.stack.binary import fetch, from_path, library_path, loads, unpacked
from greenpower.stack.broker_file import broker_file_trouble
from greenpower.stack.home import write_where_new
from greenpower.stack.part import Part
from greenpower.stack.store import Store

CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"  # MQTT 3.1.1, clean session, no client id
ACCEPTED = b"\x20\x02\x00\x00"
DISCONNECT = b"\xe0\x00"

SETTINGS = {
    "allow_anonymous": "true",  # loopback only; the operator configures a broker that others can reach
    "persistence": "true",
    "persistence_file": "mosquitto.db",
    # A killed broker loses the frames since its last save. A save writes the whole queue and blocks all clients: 0.35 s
    # for 200 000 frames, and hardly any time while ingest keeps up.
    "autosave_interval": "10",
    # Frames that wait for an ingest that is down or slow. The default of 1000 would silently drop frames after seconds;
    # without a limit one dead client could fill the memory. A million frames are eight hours of 1000 meters that send
    # every 30 s; the limit in bytes, about 700 000 frames, protects the memory.
    "max_queued_messages": "1000000",
    "max_queued_bytes": str(512 << 20),
    # Frames sent to one client and not yet acknowledged. An MQTT 5 client can lower it by its receive maximum; a 3.1.1
    # client cannot, so this also limits what ingest holds then.
    "max_inflight_messages": "10000",
    "upgrade_outgoing_qos": "true",  # a QoS 0 frame of a meter is queued like a QoS 1 frame
    "message_size_limit": str(8 << 20),  # too long a frame must reach ingest, which records it
    "set_tcp_nodelay": "true",
    "log_dest": "stderr",
    "log_timestamp": "false",
    "connection_messages": "false",
}
LOST = "the broker's sessions, and the frames that waited for ingest since its last save"
UNREADABLE = re.compile(r"Couldn't open database|Unable to restore persistent database|double free")
LOG_TYPES = ("error", "warning", "notice")


class Mosquitto(Part):
    """mosquitto on loopback; sessions and queued frames in `home/mosquitto.db`. `host` and `port` are its address.

    `options` are further lines of its configuration; they override ours.
    """

    name = "mosquitto"
    setting = "MQTT_BROKER"
    # `max_packet_size`, which it recommends, would close the connection; the meter would send the same frame again.
    noise = ("replace `message_size_limit`", "should not be run as root")

    def __init__(self, home: Path, port: int = 0, *, options: Mapping[str, str] | None = None) -> None:
        super().__init__(home, port)
        self.options = dict(options or {})
        self.file = home / "mosquitto.db"
        self.store = Store(path=self.file, lost=LOST, blames=UNREADABLE, check=broker_file_trouble)

    @cached_property
    def _found(self) -> tuple[Path, str]:
        """The binary and the LD_LIBRARY_PATH that it needs."""
        on_path = from_path("mosquitto")
        if on_path is not None and loads(on_path, "-h"):
            return on_path, ""
        root = unpacked("mosquitto")
        if not root.exists():
            try:
                root = fetch("mosquitto", "mosquitto")
            except ConfigError as error:
                raise ConfigError(f"{error}: install mosquitto or set {self.setting}") from None
        binary, libraries = root / "usr" / "sbin" / "mosquitto", library_path(root)
        if not loads(binary, "-h", libraries=libraries):
            raise ConfigError(f"{binary} does not run here: install mosquitto or set {self.setting}")
        return binary, libraries

    @property
    def _configuration(self) -> Path:
        return self.home.resolve() / "mosquitto.conf"

    def command(self) -> list[str]:
        return [str(self._found[0]), "-c", str(self._configuration)]

    def environment(self) -> Mapping[str, str]:
        libraries = self._found[1]
        return {"LD_LIBRARY_PATH": libraries} if libraries else {}

    def written(self) -> list[Path]:
        return [self._configuration, self.home / "mosquitto.db.new"]

    def prepare(self) -> None:
        super().prepare()
        settings = {"persistence_location": f"{self.home.resolve()}/", **SETTINGS}
        if os.geteuid() == 0:
            settings["user"] = "root"  # else it switches to a user that cannot write its persistence file
        lines = [f"listener {self.port} {self.host}"]
        lines += [f"{name} {value}" for name, value in {**settings, **self.options}.items()]
        lines += [f"log_type {name}" for name in LOG_TYPES]
        write_where_new(self._configuration, "\n".join(lines) + "\n")

    def forget(self) -> None:
        """Delete its sessions and queued frames. Stop it first, else it writes them again when it stops."""
        self.file.unlink(missing_ok=True)

    def answers(self) -> bool:
        return speaks_mqtt(self.host, self.port)


def speaks_mqtt(host: str, port: int) -> bool:
    """Whether a broker there accepts an MQTT connection; takes a second at most."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(CONNECT)
            answer = connection.recv(len(ACCEPTED))
            connection.sendall(DISCONNECT)
    except OSError:
        return False
    return answer == ACCEPTED
