"""Gateways of solar meters for tests, and an ingest that they dial in to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from plugins.solar import FIELDS, POLL
from tests.ingest.conftest import Document
from tests.process import Command
from tests.wait import wait_until

REQUESTS = [
    bytes.fromhex("01 26 00 00 00 06 01 03 0B B7 00 0A"),
    bytes.fromhex("01 6E 00 00 00 06 01 03 0B ED 00 06"),
    bytes.fromhex("01 B6 00 00 00 06 01 03 0C 83 00 08"),
]
VALUES = {field.name: 10.0 + number for number, field in enumerate(FIELDS)}
VALUES |= {"active_energy_delivered": 123_456_789_012, "active_energy_received": 42}
HEARTBEAT = b"GWCCCL0001"
Listen = Callable[..., Command]
Connect = Callable[..., "Gateway"]


class Gateway:
    """A gateway with its meter."""

    def __init__(self, port: int, name: bytes = HEARTBEAT, address: str = "127.0.0.1") -> None:
        self.name = name
        self.socket = socket.create_connection(("127.0.0.1", port), source_address=(address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(60)

    def heartbeat(self) -> bytes:
        """Send the registration packet; the request that comes back."""
        self.socket.sendall(self.name)
        return self.request()

    def request(self) -> bytes:
        """The next request."""
        data = b""
        while len(data) < 12:
            part = self.socket.recv(12 - len(data))
            assert part, "closed"
            data += part
        return data

    def answer(self, request: bytes, **values: float) -> bytes:
        """What the meter answers."""
        return POLL.answer(request, {**VALUES, **values})

    def round(self, **values: float) -> None:
        """Three heartbeats and answers."""
        for _ in range(3):
            request = self.heartbeat()
            self.socket.sendall(self.answer(request, **values))

    def is_closed(self) -> bool:
        """Whether the server ended the connection."""
        self.socket.settimeout(0.05)
        try:
            return self.socket.recv(100) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def listen(settings: Settings, tmp_path: Path) -> Iterator[Listen]:
    """Start `greenpower ingest --tcp`."""
    with ExitStack() as stack:

        def go(**values: Any) -> Command:
            using = Settings.model_validate({**settings.model_dump(), **values})
            command = stack.enter_context(Command(using, "ingest", "--tcp", folder=tmp_path)).wait_healthy()
            return command.wait_listening(using.tcp_port)

        yield go


@pytest.fixture
def connect(settings: Settings) -> Iterator[Connect]:
    """Connect gateways."""
    gateways: list[Gateway] = []

    def go(name: bytes = HEARTBEAT, address: str = "127.0.0.1") -> Gateway:
        gateways.append(Gateway(settings.tcp_port, name, address))
        return gateways[-1]

    yield go
    for gateway in gateways:
        gateway.close()


def readings(db: Database[Document], count: int, device: str = "GWCCCL0001") -> list[Document]:
    """Wait for so many readings of a gateway."""
    wait_until(lambda: db.solar_data.count_documents({"device_id": device}) >= count)
    found = list(db.solar_data.find({"device_id": device}).sort("timestamp"))
    assert len(found) == count
    return found
