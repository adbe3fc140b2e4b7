"""Modbus RTU on the wire, held against pymodbus as an independent reading of the standard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from greenpower.datatype import DeclarationError
from greenpower.framing.modbus import READS, ReadRequest
from greenpower.framing.rtu import RtuRequest, crc16, over, read_request, with_crc

SERVER = FramerRTU(DecodePDU(is_server=True))
CLIENT = FramerRTU(DecodePDU(is_server=False))
KINDS = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
REQUESTS = st.builds(
    RtuRequest,
    unit=st.integers(1, 247),
    register=st.integers(1, 60_000),
    count=st.integers(1, 125),
    function=st.sampled_from(sorted(READS)),
)


@given(REQUESTS)
def test_requests_are_what_pymodbus_sends(request: RtuRequest) -> None:
    theirs = KINDS[request.function](address=request.register - 1, count=request.count, dev_id=request.unit)
    assert request.encoded == SERVER.buildFrame(theirs)
    assert read_request(request.encoded) == request


@given(REQUESTS, st.data())
def test_answers_are_what_pymodbus_reads(request: RtuRequest, data: st.DataObject) -> None:
    values = data.draw(st.binary(min_size=request.data_size, max_size=request.data_size))
    answer = request.answer(values)
    assert len(answer) == request.answer_size
    assert answer.startswith(request.answer_head)
    assert request.is_whole(answer)
    assert request.data(answer) == values
    used, pdu = CLIENT.handleFrame(answer, request.unit, 0)
    assert used == len(answer) and pdu is not None
    if request.function in (3, 4):
        assert b"".join(register.to_bytes(2, "big") for register in pdu.registers) == values


@given(REQUESTS, st.integers(1, 11))
def test_exceptions_are_what_pymodbus_reads(request: RtuRequest, code: int) -> None:
    answer = request.exception(code)
    assert len(answer) == request.exception_size
    used, pdu = CLIENT.handleFrame(answer, request.unit, 0)
    assert used == len(answer) and pdu is not None
    assert pdu.exception_code == code


@given(st.binary(min_size=1, max_size=60), st.integers(0), st.integers(1, 255))
def test_a_changed_byte_is_found(data: bytes, at: int, change: int) -> None:
    message = bytearray(with_crc(data))
    assert crc16(bytes(message)) == 0
    message[at % len(message)] ^= change
    assert crc16(bytes(message)) != 0


@given(REQUESTS, st.integers(0, 8000))
def test_requests_of_both_framings_are_told_apart(request: RtuRequest, number: int) -> None:
    numbered = replace(over("tcp", request), transaction=number << 3 | 7)
    assert read_request(numbered.encoded) == numbered
    assert over("rtu", numbered).key == numbered.key
    assert over("tcp", numbered, 9).unit == 9


def test_what_is_no_request() -> None:
    request = RtuRequest(unit=1, register=1, count=2)
    assert read_request(request.encoded[:-1]) is None
    assert read_request(with_crc(b"\1\6\0\0\0\1")) is None, "it writes"
    assert read_request(b"\0\1\0\0\0\6\1\3\0\0\0") is None, "too short"
    assert read_request(b"\0\1\0\0\0\6\1\3\0\0\0\xff") is None, "too many registers"


def test_bits_have_a_limit_of_their_own() -> None:
    assert ReadRequest(transaction=1, unit=1, register=1, count=2000, function=1).data_size == 250
    with pytest.raises(DeclarationError, match=r"2001 bits.* 2000"):
        ReadRequest(transaction=1, unit=1, register=1, count=2001, function=2)
