"""Simulated TCP gateways: dial in, call themselves by their registration packet, pass Modbus requests to a meter.

What belongs here: which gateways there are, what they say and answer, sans-IO. What does not: what goes wrong
(`delivery`), sockets (`dial`).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, tzinfo

from greenpower.datatype import DataType
from greenpower.datatype.packet import read_packet
from greenpower.framing.poll import ModbusPoll
from greenpower.framing.rtu import RTU_REQUEST_BYTES, RtuRequest, crc16, read_request
from greenpower.simulator.device import CannotSimulate, device_name, local_seconds
from greenpower.simulator.register_fault import misread
from greenpower.simulator.value import Measured

REQUEST_SIZE = 12
ILLEGAL_ADDRESS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedGateway:
    """A gateway of one data type, and the meter behind it. number counts the gateways of its type from 0."""

    datatype: DataType
    poll: ModbusPoll
    device_id: str
    number: int
    measured: Measured
    zone: tzinfo

    @property
    def registration(self) -> bytes:
        """The registration packet."""
        return self.datatype.gateways[0].packet.packet_of(self.device_id) or self.device_id.encode("ascii")

    @property
    def heartbeat(self) -> bytes:
        """What it sends from time to time: a heartbeat of its own, or the registration packet again."""
        own = self.datatype.gateways[0].heartbeat
        return (read_packet(own).fixed if own else None) or self.registration

    def measure(self, at: datetime) -> Mapping[str, float]:
        """The values at a time (aware), by field."""
        return self.measured.at(*local_seconds(at, self.zone))

    def answer(self, request: bytes, at: datetime, faults: Set[str] = frozenset()) -> bytes:
        """The meter's answer to a request at a time (aware); an exception where it has no such registers.

        faults: of its registers.
        """
        values, _ = misread(self.datatype, self.device_id, at, self.measure, faults)
        try:
            return self.poll.answer(request, values)
        except KeyError:
            return exception(request, ILLEGAL_ADDRESS)

    def is_last(self, request: bytes) -> bool:
        """Whether the answer to this request ends a round."""
        asked, last = read_request(request), self.poll.requests[-1]
        return request == last.encoded or (asked is not None and asked.key == last.key)


def make_gateways(datatype: DataType, count: int, seed: int, zone: tzinfo) -> list[SimulatedGateway]:
    """`count` gateways of a data type. Raises CannotSimulate."""
    if not datatype.gateways:
        raise CannotSimulate(f"{datatype.name}: it claims no TCP gateway")
    if not isinstance(datatype.parse, ModbusPoll):
        raise CannotSimulate(f"{datatype.name}: its gateways do not speak Modbus as `ModbusPoll` declares it")
    claim = datatype.gateways[0]
    poll, pattern = datatype.parse, claim.registration
    # A site's gateways count from 1: the simulated ones stay out of their way, as long as they fit above.
    raw = claim.packet.raw
    if claim.packet.form != "text":
        pattern = pattern.partition(":")[2]
    space = 10 ** pattern.count("#")
    above = 9 * space // 10
    first = above if count < space - above else 0
    gateways = []
    for number in range(count):
        name = device_name(pattern, seed, number, first)
        name = name.upper() if raw else name
        measured = Measured(datatype.fields, f"{seed}/{name}", about=datatype.title)
        gateways.append(
            SimulatedGateway(datatype=datatype, poll=poll, device_id=name, number=number, measured=measured, zone=zone)
        )
    return gateways


def exception(request: bytes, code: int) -> bytes:
    """A Modbus exception in answer to a request."""
    if isinstance(asked := read_request(request), RtuRequest):
        return asked.exception(code)
    return request[:4] + b"\0\x03" + request[6:7] + bytes([request[7] | 0x80, code])


@dataclass(slots=True)
class Requests:
    """Cuts a stream into requests, of Modbus TCP or RTU."""

    buffer: bytes = b""

    def receive(self, data: bytes) -> list[bytes]:
        """The requests that these bytes complete."""
        self.buffer += data
        found = []
        while len(self.buffer) >= RTU_REQUEST_BYTES:
            size = REQUEST_SIZE if crc16(self.buffer[:RTU_REQUEST_BYTES]) else RTU_REQUEST_BYTES
            if len(self.buffer) < size:
                break
            found.append(self.buffer[:size])
            self.buffer = self.buffer[size:]
        return found
