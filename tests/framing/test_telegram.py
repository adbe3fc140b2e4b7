"""P1 telegrams, cut from any stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenpower.framing.rtu import crc16
from greenpower.framing.telegram import TelegramFramer
from tests.framing.stream import pieces

BODY = b"/ABC5\\2TEST\r\n\r\n1-0:1.8.1(000123.456*kWh)\r\n1-0:1.7.0(00.321*kW)\r\n!"


def signed(body: bytes) -> bytes:
    return body + f"{crc16(body, 0):04X}\r\n".encode()


GOOD = signed(BODY)
OLD = BODY + b"\r\n"


def faults(*parts: bytes) -> list[tuple[bytes, str]]:
    framer = TelegramFramer(1000)
    return [(found.data, found.fault) for part in parts for found in framer.receive(part)]


def test_the_checksum_is_that_of_the_standard() -> None:
    """CRC-16/ARC: the check value of its catalogue."""
    assert crc16(b"123456789", 0) == 0xBB3D
    assert crc16(b"123456789") == 0x4B37, "and CRC-16/MODBUS"


@given(st.lists(st.sampled_from([GOOD, OLD, b"\r\n"]), max_size=5), st.lists(st.integers(0, 1000)))
def test_any_split_gives_the_same_telegrams(parts: list[bytes], cuts: list[int]) -> None:
    expected = [(part, "") for part in parts if part != b"\r\n"]
    assert faults(*pieces(b"".join(parts), cuts)) == expected


def test_a_telegram_with_a_changed_digit_is_none() -> None:
    wrong = GOOD.replace(b"123.456", b"123.457")
    assert faults(wrong + GOOD) == [(wrong, "wrong-crc"), (GOOD, "")]


def test_we_come_in_the_middle() -> None:
    assert faults(GOOD[30:] + GOOD) == [(GOOD[30:], "noise"), (GOOD, "")]


def test_a_telegram_that_breaks_off_is_not_joined_with_the_next() -> None:
    cut = b"/ABC5\\2TEST\r\n\r\n1-0:1.8.1(0001\r\n"
    assert faults(cut + GOOD) == [(cut, "cut-telegram"), (GOOD, "")]


def test_a_telegram_without_an_end_is_let_go() -> None:
    framer = TelegramFramer(1000)
    found = [item for _ in range(100) for item in framer.receive(b"/" + b"1" * 99)]
    assert {item.fault for item in found} == {"too-large"}
    assert [item.fault for item in framer.receive(b"\r\n" + GOOD)][-1] == ""


@given(st.lists(st.binary(max_size=50) | st.sampled_from([GOOD, BODY, b"/", b"!", b"\r\n!"]), max_size=10))
def test_any_bytes_and_after_them_a_telegram(parts: list[bytes]) -> None:
    found = faults(*parts, b"\r\n\r\n", GOOD)
    assert found[-1] == (GOOD, "")
