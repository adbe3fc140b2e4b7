"""Claims on topics and gateways."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import DeclarationError, Mqtt, Tcp, is_device_id
from greenpower.datatype.claim import Dialogue
from greenpower.datatype.topic import is_within, topics_overlap


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


@given(LEVELS.filter(lambda topic: "+" not in topic), LEVELS, LEVELS)
def test_a_filter_within_another_matches_no_other_topics(topic: str, one: str, other: str) -> None:
    if is_within(one, other) and topics_overlap(one, topic):
        assert topics_overlap(other, topic)


@pytest.mark.parametrize(
    ("one", "other", "within"),
    [
        ("a/b", "a/+", True),
        ("a/+", "a/b", False),
        ("a/+", "+/b", False),
        ("a/+", "a/#", True),
        ("a/+/#", "a/#", True),
        ("a/#", "a/+/#", False),
        ("a", "a/#", True),
        ("a/#", "a/+", False),
        ("a/b", "a/b", True),
    ],
)
def test_which_filters_are_within_others(one: str, other: str, within: bool) -> None:
    assert is_within(one, other) is within


EM = Mqtt("shellies/{device}/emeter/{channel}/{field}", device="{device}-{channel}", gather=2.0)


def test_named_levels() -> None:
    topic = "shellies/shellyem-A4/emeter/0/power"
    assert EM.filter == "shellies/+/emeter/+/+" and not EM.is_exact and EM.matches(topic)
    assert EM.levels(topic) == {"device": "shellyem-A4", "channel": "0", "field": "power"}
    found = EM.at(topic)
    assert (found.device, found.gather, found.filter) == ("shellyem-A4-0", 2.0, EM.filter)
    assert EM.at("shellies/$x/emeter/0/power").device is None
    plain = Mqtt("tele/{device}/SENSOR")
    assert plain.names_device and plain.at("tele/plug-1/SENSOR").device == "plug-1"


def test_a_named_end_takes_all_further_levels() -> None:
    claim = Mqtt("N/{device}/{service}/{number}/{field#}", device="{device}-{number}")
    assert claim.filter == "N/+/+/+/#"
    topic = "N/c0619ab3/grid/30/Ac/L1/Power"
    assert claim.levels(topic)["field"] == "Ac/L1/Power" and claim.at(topic).device == "c0619ab3-30"


@pytest.mark.parametrize(
    ("claim", "device", "narrowed"),
    [
        (EM, "shellyem-A4-0", "shellies/shellyem-A4/emeter/0/+"),
        (EM, "shellyem", None),
        (EM, "a/b-0", None),
        (EM, "+-0", None),
        (Mqtt("tele/{device}/{field#}"), "plug", "tele/plug/#"),
        (Mqtt("{device}/{device_2}", device="{device}{device}"), "abab", "ab/+"),
        (Mqtt("{device}/x", device="{device}{device}"), "abc", None),
        (Mqtt("a/+/b", device_level=1), "D", "a/D/b"),
        (Mqtt("a/{x}", device="D"), "D", "a/+"),
        (Mqtt("a/{x}", device="D"), "E", None),
        (Mqtt("a"), "E", "a"),
    ],
)
def test_topics_on_which_a_device_sends(claim: Mqtt, device: str, narrowed: str | None) -> None:
    assert claim.narrowed(device) == narrowed


LEVEL_TEXT = st.text("ab-0", min_size=1, max_size=4)


@given(LEVEL_TEXT, LEVEL_TEXT)
def test_a_device_sends_on_a_topic_that_names_it(device: str, channel: str) -> None:
    topic = f"shellies/{device}/emeter/{channel}/power"
    found = EM.at(topic).device
    assert found is not None
    own = EM.narrowed(found)
    assert own is not None and EM.at(own.replace("+", "power")).device == found


@pytest.mark.parametrize(
    ("topic", "arguments", "named"),
    [
        ("a/x{b}", {}, "stands alone"),
        ("{a}/{a}", {}, "two levels are named a"),
        ("a/{b#}/c", {}, "not a valid"),
        ("a/{b}", {"device": "{c}"}, "c, which is no level"),
        ("a/{b}", {"gather": 7}, "gather=7"),
        ("a/{b}", {"gather": 0}, "gather=0"),
        ("a/{b}", {"gather": 61}, "gather=61"),
        ("a/{b}", {"gather": 0.0007}, "gather=0.0007"),
    ],
)
def test_bad_named_levels(topic: str, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(DeclarationError, match=named):
        Mqtt(topic, **arguments)


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
