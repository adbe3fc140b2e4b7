"""Packets that gateways send unasked: text, hexadecimal digits as text, raw bytes."""

from __future__ import annotations

import pytest

from greenpower.datatype import DeclarationError, FrameError, Tcp
from greenpower.datatype.packet import read_packet
from greenpower.framing.registration import identify
from tests.framing.stream import POLL


def claim(registration: str, heartbeat: str = "") -> Tcp:
    return Tcp(registration=registration, dialogue=POLL.dialogue, heartbeat=heartbeat)


@pytest.mark.parametrize(
    ("registration", "packet", "device"),
    [
        ("GWCCCL####", b"GWCCCL0001", "GWCCCL0001"),
        ("###############", b"861234567890123", "861234567890123"),
        ("mac:D4AD20######", b"D4AD20a1b2C3", "D4AD20a1b2C3"),
        ("mac:##:##:##:##:##:##", b"d4:ad:20:a1:b2:c3", "d4:ad:20:a1:b2:c3"),
        ("hex:D4AD20######", bytes.fromhex("d4ad20 0a0d00"), "D4AD200A0D00"),
        ("hex:AA55####", b"\xaa\x55\x5c\x00", "AA555C00"),
    ],
)
def test_a_registration_names_its_gateway(registration: str, packet: bytes, device: str) -> None:
    given = claim(registration)
    for size in range(len(packet)):
        assert identify(packet[:size], [given]) is None
    assert identify(packet + b"\n more", [given]) == (given, device)
    assert given.pattern.match(packet)
    assert given.packet.packet_of(device) == packet
    assert given.packet.packet_of(given.packet.example()) is not None
    for wrong in (device + "0", "", "ä", device[:-1] + "!"):
        assert given.packet.packet_of(wrong) is None


@pytest.mark.parametrize(
    ("registration", "packet"),
    [("mac:D4AD20######", b"D4AD20a1b2Cg"), ("hex:D4AD20######", b"D4AD20"), ("##########", b"12345x")],
)
def test_what_is_no_registration(registration: str, packet: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        identify(packet, [claim(registration)])
    assert caught.value.reason == "not-registered"


@pytest.mark.parametrize(
    "text",
    ["#########", "mac:############", "hex:####", "hex:ABC", "hex:" + "AB" * 33, "mac:AB", "abc", "a b cd", "x" * 49],
)
def test_registrations_that_cannot_be(text: str) -> None:
    with pytest.raises(DeclarationError, match="registration"):
        claim(text)


@pytest.mark.parametrize("text", ["hex:GG", "hex:##", "ping\n"])
def test_heartbeats_that_cannot_be(text: str) -> None:
    with pytest.raises(DeclarationError, match="heartbeat"):
        claim("GW##", text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("GW##", "GW12", True),
        ("GW##", "GWA#", False),
        ("mac:GW##", "GW1#", True),
        ("mac:AB##", "mac:ABXX", False),
        ("hex:4757", "GW##", True),
        ("hex:4758", "GW##", False),
        ("##########", "hex:31##", True),
    ],
)
def test_one_stream_is_that_of_one_claim(one: str, other: str, expected: bool) -> None:
    assert claim(one).overlaps(claim(other)) is expected
    assert claim(other).overlaps(claim(one)) is expected


def test_a_packet_whose_bytes_are_known() -> None:
    assert read_packet("ping").fixed == b"ping"
    assert read_packet("hex:FE").fixed == b"\xfe"
    assert read_packet("ping#").fixed is None
