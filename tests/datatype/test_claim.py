"""Claims on topics and gateways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import DeclarationError, Mqtt, Tcp, is_device_id
from greenpower.datatype.claim import Dialogue, topics_overlap


def no_dialogue(claim: Tcp) -> Dialogue:
    raise AssertionError("not called here")


def gateway(registration: str) -> Tcp:
    return Tcp(registration=registration, dialogue=no_dialogue)


@pytest.mark.parametrize("value", ["33B1225950027", "GREEN_POWER_GENERATOR", "a", "a b", "Ä-1", "x" * 64])
def test_valid_device_ids(value: object) -> None:
    assert is_device_id(value)


@pytest.mark.parametrize(
    "value", ["", " a", "$a", "a\n", "a\0", "\ud800", "\u202e", "\xa0", "x" * 65, 5, None, b"a", []]
)
def test_invalid_device_ids(value: object) -> None:
    assert not is_device_id(value)


@pytest.mark.parametrize("topic", ["", "a\0", "a+", "a/#/b", "a/b#", "$SYS/x", "+a/b"])
def test_topics_that_cannot_be_claimed(topic: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Mqtt(topic)
    assert repr(topic) in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b", True),
        ("+/b", "a/+", True),
        ("+/b/#", "a/+", True),
        ("a/b", "a/b/", False),
    ],
)
def test_overlapping_filters(one: str, other: str, overlap: bool) -> None:
    assert topics_overlap(one, other) is overlap
    assert topics_overlap(other, one) is overlap


LEVELS = st.lists(st.sampled_from(["a", "b", "", "+"]), min_size=1, max_size=4).map("/".join)


@given(LEVELS.filter(lambda topic: "+" not in topic), LEVELS, LEVELS)
def test_filters_that_one_topic_matches_overlap(topic: str, one: str, other: str) -> None:
    if topics_overlap(one, topic) and topics_overlap(other, topic):
        assert topics_overlap(one, other)


def test_a_level_of_the_topic_names_the_device() -> None:
    claim = Mqtt("site/+/env", device_level=1)
    assert claim.at("site/ENV_7/env") == Mqtt("site/+/env", device="ENV_7")
    assert claim.at("site/$x/env").device is None
    plain = Mqtt("a", device="D")
    assert plain.at("a") is plain


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"device": ""}, "device ''"),
        ({"device": "x" * 65}, "x" * 65),
        ({"device_level": 2}, "level 2"),
        ({"device_level": -1}, "level -1"),
        ({"device_level": 1, "device": "D"}, "device_level"),
    ],
)
def test_bad_devices_of_claims(arguments: dict[str, str], named: str) -> None:
    with pytest.raises(DeclarationError, match=named):
        Mqtt("a/+", **arguments)  # type: ignore[arg-type]


def test_the_final_wildcard_is_no_level() -> None:
    with pytest.raises(DeclarationError):
        Mqtt("a/#", device_level=1)


@pytest.mark.parametrize("registration", ["", "GW#", "####", "GW CL", "GWÄ####", "x" * 49])
def test_registrations_that_cannot_be_claimed(registration: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        gateway(registration)
    assert repr(registration) in str(caught.value)


def test_patterns_of_registrations() -> None:
    pattern = gateway("GWCCCL####").pattern
    assert pattern.match(b"GWCCCL0001\x01")
    assert not pattern.match(b"GWCCCLX001")
    assert not pattern.match(b"xGWCCCL0001")


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("GWCCCL####", "GWCCCL####", True),
        ("GWCCCL####", "GWCCCL0001", True),
        ("GWCCCL####", "GWCC", True),
        ("GWCCCL####", "GWABCD####", False),
        ("GW1#", "GW#2", True),
        ("GWA#", "GW##", False),
    ],
)
def test_overlapping_registrations(one: str, other: str, overlap: bool) -> None:
    assert gateway(one).overlaps(gateway(other)) is overlap
    assert gateway(other).overlaps(gateway(one)) is overlap
