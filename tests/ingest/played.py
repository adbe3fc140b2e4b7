"""Devices that are dialled, played by servers whose energy rises with each answer, in pieces and over connections that
break.

What belongs here: the servers, and what they have sent. What does not: what is stored of it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count

from greenpower.framing.rtu import crc16, read_request
from tests.framing.test_obis import FAILURES, GAS, HEAD
from tests.framing.test_sunspec import COMMON, INVERTER, METER, Map
from tests.ingest.sources.test_dialled import words
from tests.proxy import Proxy

#: answers, or telegrams, after which a server breaks the connection
ANSWERS_PER_CONNECTION = 10
TELEGRAMS_PER_CONNECTION = 3
PIECE_BYTES = 5
#: the registers of a SunSpec inverter's energy, by the place in its model
ENERGY_AT = 24
METER_IMPORT_AT = 46

# A device of each family that is dialled, for the site file.
DIALLED = """
[[modbus]]
host = "127.0.0.1"
port = {sunspec}
every = 1
devices = [{{ type = "sunspec", device = "ROOF", unit = 1 }}]

[[modbus]]
host = "127.0.0.1"
port = {sdm}
framing = "rtu"
every = 1
devices = [{{ type = "sdm", device = "HALL-1", unit = 1 }}, {{ type = "sdm", device = "HALL-2", unit = 2 }}]

[[telegrams]]
host = "127.0.0.1"
port = {p1}
type = "dsmr"
device = "METER"
"""


def in_pieces(connection: socket.socket, data: bytes, size: int = PIECE_BYTES) -> None:
    """Write data in pieces, each a packet of its own."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(data), size):
        connection.sendall(data[at : at + size])


class PlayedModbus(Proxy):
    """Units that answer questions for registers. registers: the contents of a unit when it has been asked a number of
    times. asked: how often each was."""

    def __init__(self, registers: Callable[[int, int], Mapping[int, int]]) -> None:
        super().__init__()
        self._registers = registers
        self.asked = 0

    def serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            for answered in range(ANSWERS_PER_CONNECTION):
                data = b""
                while (request := read_request(data)) is None:
                    part = client.recv(100)
                    if not part:
                        return
                    data += part
                self.asked += 1
                contents = self._registers(request.unit, self.asked)
                wanted = range(request.register, request.register + request.count)
                if not all(number in contents for number in wanted):
                    in_pieces(client, request.exception(2))
                    continue
                answer = request.answer(struct.pack(f">{request.count}H", *(contents[number] for number in wanted)))
                if answered == ANSWERS_PER_CONNECTION - 1:  # it breaks off amid an answer
                    answer = answer[: len(answer) // 2]
                in_pieces(client, answer)


def sunspec_registers(unit: int, asked: int) -> dict[int, int]:
    """An inverter and a meter; each question is a Wh more."""
    device = Map(COMMON, with_register(INVERTER, ENERGY_AT, 1_234_567 + asked), METER)
    return {device.base + at: content for at, content in enumerate(device.words)}


def with_register(model: list[int], at: int, value: int) -> list[int]:
    """A model with a number of 32 bits at a place."""
    return [*model[:at], value >> 16, value & 0xFFFF, *model[at + 2 :]]


def sdm_registers(unit: int, asked: int) -> dict[int, int]:
    """A meter of the SDM series; each question is a quarter of a kWh more."""
    found = dict.fromkeys(range(1, 121), 0)
    for number, value in (
        (1, 230.5), (7, 6.25), (13, 1500 * unit), (53, 1500 * unit), (57, 1600), (61, -250), (63, 0.875), (71, 50),
        (73, 100 * unit + asked / 4), (75, 7.5),
    ):  # fmt: skip
        found |= {number + at: content for at, content in enumerate(words("f", value))}
    return found


SDM_VALUES = {
    "voltage_a": 230.5, "current_a": 6.25, "apparent_power": 1.6, "reactive_power": -0.25, "power_factor": 0.875,
    "frequency": 50, "active_energy_exported": 7.5,
}  # fmt: skip


class PlayedP1(Proxy):
    """The P1 port of a meter behind a serial server: a client gets telegrams from the middle of one on, and some whose
    checksum is wrong. clock: the time of a telegram as the meter writes it, by its number."""

    def __init__(self, clock: Callable[[int], str]) -> None:
        super().__init__()
        self._numbers = count(1)
        self._clock = clock

    def serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.sendall(self._telegram(0)[30:])
            for sent in range(TELEGRAMS_PER_CONNECTION):
                data = self._telegram(next(self._numbers))
                if sent == 1:
                    in_pieces(client, data.replace(b"*kW)", b"*kw)"), 50)
                in_pieces(client, data, 50)

    def _telegram(self, number: int) -> bytes:
        clock = f"0-0:1.0.0({self._clock(number)})\r\n"
        values = (
            f"1-0:1.8.1({100 + number:06d}.500*kWh)\r\n1-0:1.8.2(000007.250*kWh)\r\n0-0:96.14.0(0002)\r\n"
            "1-0:1.7.0(00.321*kW)\r\n1-0:21.7.0(00.250*kW)\r\n1-0:32.7.0(231.5*V)\r\n1-0:31.7.0(001*A)\r\n"
        )
        # A meter of gas says its count once an hour: the same time and count again and again.
        gas = GAS.replace(b"260729100500S", self._clock(0).encode())
        body = HEAD + clock.encode() + values.encode() + FAILURES + gas + b"!"
        return body + f"{crc16(body, 0):04X}\r\n".encode()


P1_VALUES = {
    "active_energy_imported_2": 7.25, "tariff": 2, "active_power_imported": 0.321, "active_power_imported_a": 0.25,
    "voltage_a": 231.5, "current_a": 1,
}  # fmt: skip
