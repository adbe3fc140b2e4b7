"""Registration packets at the start of a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import FrameError, Tcp
from greenpower.framing.registration import identify
from tests.framing.stream import CLAIM, IDENTITY, POLL

OTHER = Tcp(registration="SN-##", dialogue=POLL.dialogue)


def test_a_gateway_is_known_by_its_first_bytes() -> None:
    assert identify(IDENTITY, [OTHER, CLAIM]) == (CLAIM, "GWCCCL0001")
    assert identify(IDENTITY + ANY, [OTHER, CLAIM]) == (CLAIM, "GWCCCL0001")
    assert identify(b"SN-07", [OTHER, CLAIM]) == (OTHER, "SN-07")


ANY = b"\x01\x26"


@pytest.mark.parametrize("length", range(len(IDENTITY)))
def test_too_little_to_tell(length: int) -> None:
    assert identify(IDENTITY[:length], [OTHER, CLAIM]) is None


@pytest.mark.parametrize(
    "data", [b"\x00", b"GWCCCLX", b" GWCCCL0001", b"gw", b"SN-0x", b"GET / HTTP/1.1\r\n", b"\xff" * 99]
)
def test_what_can_be_no_registration(data: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        identify(data, [OTHER, CLAIM])
    assert caught.value.reason == "not-registered"
    assert data[:8].hex() in caught.value.detail


@given(st.binary(max_size=30))
def test_a_decision_falls_within_the_length_of_the_longest_packet(data: bytes) -> None:
    try:
        found = identify(data, [OTHER, CLAIM])
    except FrameError:
        return
    assert found is not None or len(data) < len(IDENTITY)


def test_nothing_is_claimed() -> None:
    with pytest.raises(FrameError):
        identify(IDENTITY, [])
