"""Modbus TCP on the wire, held against pymodbus as an independent reading of the standard."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
)

from greenpower.datatype import DeclarationError, Frame
from greenpower.framing.modbus import ReadRequest, describe, exception_name
from greenpower.framing.poll import LAYOUTS, Block, ModbusPoll

SERVER = FramerSocket(DecodePDU(is_server=True))
CLIENT = FramerSocket(DecodePDU(is_server=False))
REQUESTS = st.builds(
    ReadRequest,
    transaction=st.integers(1, 0xFFFF),
    unit=st.integers(1, 255),
    register=st.integers(1, 60_000),
    count=st.integers(1, 125),
    function=st.sampled_from([3, 4]),
)


@given(REQUESTS)
def test_requests_are_what_pymodbus_sends(request: ReadRequest) -> None:
    kind = ReadHoldingRegistersRequest if request.function == 3 else ReadInputRegistersRequest
    theirs = kind(
        address=request.register - 1, count=request.count, dev_id=request.unit, transaction_id=request.transaction
    )
    assert request.encoded == SERVER.buildFrame(theirs)
    assert len(request.encoded) == 12


@given(REQUESTS, st.data())
def test_answers_are_what_pymodbus_reads(request: ReadRequest, data: st.DataObject) -> None:
    registers = data.draw(st.binary(min_size=2 * request.count, max_size=2 * request.count))
    answer = request.answer(registers)
    assert len(answer) == request.answer_size
    assert answer.startswith(request.answer_head)
    used, pdu = CLIENT.handleFrame(answer, request.unit, request.transaction)
    assert used == len(answer)
    assert isinstance(pdu, ReadHoldingRegistersResponse)
    assert b"".join(register.to_bytes(2, "big") for register in pdu.registers) == registers


@given(REQUESTS, st.integers(1, 11))
def test_exceptions_are_what_pymodbus_reads(request: ReadRequest, code: int) -> None:
    answer = request.exception(code)
    used, pdu = CLIENT.handleFrame(answer, request.unit, request.transaction)
    assert used == len(answer)
    assert pdu is not None
    assert pdu.isError()
    assert pdu.exception_code == code


@pytest.mark.parametrize("layout", LAYOUTS)
@given(st.data())
def test_values_are_what_pymodbus_makes_of_the_registers(layout: str, data: st.DataObject) -> None:
    block = Block(register=1, layout=layout, fields=("a", "b"))
    registers = data.draw(st.binary(min_size=block.values.size, max_size=block.values.size))
    poll = ModbusPoll(block)
    (reading,) = poll(Frame(topic="t", payload=poll.requests[0].answer(registers), device="D"))
    words = [int.from_bytes(registers[at : at + 2], "big") for at in range(0, len(registers), 2)]
    theirs = ModbusClientMixin.convert_from_registers(words, ModbusClientMixin.DATATYPE[layout.upper()])
    assert repr(list(reading.values.values())) == repr(theirs)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"transaction": -1}, "transaction -1"),
        ({"transaction": 65536}, "transaction 65536"),
        ({"unit": 256}, "unit 256"),
        ({"function": 6}, "function 6 .* 3, 4"),
        ({"count": 0}, "0 registers"),
        ({"count": 126}, "126 registers"),
        ({"register": 0}, "0 to 9 .*65536"),
        ({"register": 65528}, "65528 to 65537"),
    ],
)
def test_requests_that_cannot_be(changes: dict[str, Any], text: str) -> None:
    given: dict[str, Any] = {"transaction": 1, "unit": 1, "register": 1, "count": 10}
    with pytest.raises(DeclarationError, match=text):
        ReadRequest(**{**given, **changes})


def test_the_last_register_can_be_read() -> None:
    request = ReadRequest(transaction=1, unit=1, register=65536, count=1)
    assert request.encoded.endswith(b"\xff\xff\x00\x01")
    with pytest.raises(ValueError, match=r"\b4\b.*\b1\b"):
        request.answer(bytes(4))


def test_words_for_people() -> None:
    assert re.findall(r"\d+", str(ReadRequest(transaction=1, unit=7, register=3000, count=10))) == ["7", "3000", "3009"]
    assert [re.findall(r"\d+", exception_name(code)) for code in (2, 99)] == [["2"], ["99"]]
    shown = describe(bytes.fromhex("0999 0000 0005 0203 0200 00"))
    assert re.findall(r"[x\d]+", re.sub("[a-wyz]", "", shown)) == ["0x0999", "2", "0x03", "5"]
    assert describe(b"hello").endswith(" 68 65 6c 6c 6f")
    assert describe(b"x" * 100).endswith(" …")
