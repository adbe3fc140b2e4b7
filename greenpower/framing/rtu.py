"""Modbus RTU on the wire, as gateways pass it through TCP: no transaction, and a checksum at the end.

    request   | unit 1 | function 1      | address 2 | count 2 | CRC 2
    answer    | unit 1 | function 1      | size 1    | data    | CRC 2
    exception | unit 1 | function + 0x80 | code 1    | CRC 2

What belongs here: the bytes, both ways, and telling a request from its bytes. What does not: when to ask (`rounds`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from greenpower.datatype import DeclarationError
from greenpower.framing.modbus import ReadRequest

CRC_BYTES = 2
RTU_HEAD_BYTES = 3
RTU_REQUEST_BYTES = 8
TCP_REQUEST_BYTES = 12
#: of a Modbus TCP request that reads: protocol 0, six bytes follow
TCP_REQUEST_MARK = b"\0\0\0\6"


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


CRC_TABLE = _crc_table()


def crc16(data: bytes, start: int = 0xFFFF) -> int:
    """The CRC-16 with the polynomial 0xA001; Modbus starts at 0xFFFF, P1 telegrams at 0."""
    crc = start
    table = CRC_TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


def with_crc(data: bytes) -> bytes:
    """Data with its CRC behind it, low byte first."""
    return data + struct.pack("<H", crc16(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class RtuRequest(ReadRequest):
    """A request over a serial line. Its transaction is not sent.

    The head of an answer says unit, function and size only: it may be that of several requests.
    """

    transaction: int = 0

    @property
    def encoded(self) -> bytes:
        """The request as sent, 8 bytes."""
        return with_crc(struct.pack(">BBHH", self.unit, self.function, self.register - 1, self.count))

    @property
    def answer_head(self) -> bytes:
        """The first 3 bytes of an answer; `answer_size` bytes are the whole."""
        return bytes([self.unit, self.function, self.data_size])

    @property
    def answer_size(self) -> int:
        """The length of an answer."""
        return RTU_HEAD_BYTES + self.data_size + CRC_BYTES

    @property
    def exception_head(self) -> bytes:
        """The first 2 bytes of an exception; the code follows."""
        return bytes([self.unit, self.function | 0x80])

    @property
    def exception_size(self) -> int:
        """The length of an exception."""
        return RTU_HEAD_BYTES + CRC_BYTES

    def is_whole(self, message: bytes) -> bool:
        """Whether the CRC of an answer or exception is right."""
        return crc16(message) == 0

    def data(self, answer: bytes) -> bytes:
        """The values' bytes in an answer."""
        return answer[RTU_HEAD_BYTES:-CRC_BYTES]

    def answer(self, registers: bytes) -> bytes:
        """The answer that carries these registers' bytes. Raises ValueError where they are not as many."""
        if len(registers) != self.data_size:
            raise ValueError(f"{len(registers)} bytes for {self.count} registers")
        return with_crc(self.answer_head + registers)

    def exception(self, code: int) -> bytes:
        """The exception of a code."""
        return with_crc(self.exception_head + bytes([code]))


def over(framing: str, request: ReadRequest, unit: int | None = None) -> ReadRequest:
    """A request as it is sent over a framing, `tcp` or `rtu`. unit: of another unit."""
    kind = RtuRequest if framing == "rtu" else ReadRequest
    return kind(
        transaction=request.transaction,
        unit=request.unit if unit is None else unit,
        register=request.register,
        count=request.count,
        function=request.function,
    )


def read_request(data: bytes, at: int = 0) -> ReadRequest | None:
    """The request, of either framing, that starts at a place of a frame; None where there is none."""
    some = data[at : at + RTU_REQUEST_BYTES]
    try:
        if len(some) == RTU_REQUEST_BYTES and crc16(some) == 0:
            unit, function, address, count = struct.unpack_from(">BBHH", some)
            return RtuRequest(unit=unit, function=function, register=address + 1, count=count)
        if some[2:6] == TCP_REQUEST_MARK and len(data) >= at + TCP_REQUEST_BYTES:
            transaction, _, _, unit, function, address, count = struct.unpack_from(">HHHBBHH", data, at)
            return ReadRequest(transaction=transaction, unit=unit, function=function, register=address + 1, count=count)
    except DeclarationError:
        pass
    return None
