"""Sparkplug messages: which values have which names and times, by which birth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from greenpower.catalog.registry import discover
from greenpower.catalog.site import read_site
from greenpower.datatype import Field, Frame, FrameError, Noted, Reading
from greenpower.datatype.check import Checker
from greenpower.datatype.session import Birth, make_birth, with_birth
from greenpower.framing.sparkplug_messages import MetricParser
from tests.framing.sparkplug_bytes import BOOLEAN, DOUBLE, INT16, INT32, UINT64, metric, payload

AT = datetime(2026, 11, 23, 14, tzinfo=UTC)
PARSER = MetricParser().for_fields((Field("power", unit="kW"), Field("t", unit="°C"), Field("on", unit="1")))


def ms(seconds: float) -> int:
    return round((AT + timedelta(seconds=seconds)).timestamp() * 1000)


def frame(kind: str, body: bytes, *births: Birth, device: str | None = "g/e/u") -> Frame:
    return Frame(
        topic=f"spBv1.0/g/{kind}/e/u", payload=body, device=device, received_at=AT + timedelta(minutes=5), births=births
    )


def born(seconds: float, *metrics: bytes) -> Birth:
    """A birth as the core keeps it."""
    note = PARSER(frame("DBIRTH", payload(ms(seconds), *metrics)))[0]
    assert isinstance(note, Noted) and note.since == AT + timedelta(seconds=seconds)
    return make_birth(note.session, note.since, AT + timedelta(seconds=seconds))


def values(found: tuple[Reading, ...]) -> dict[float, dict[str, object]]:
    """{seconds: values}, without notes."""
    return {(item.stamp - AT).total_seconds(): item.values for item in found if item.stamp is not None and item.values}


ONE = born(0, metric(DOUBLE, 1.5, name="power", alias=1), metric(INT16, -3, name="t", alias=2))
TWO = born(60, metric(INT16, -3, name="t", alias=1), metric(DOUBLE, 1.5, name="power", alias=2))
BOTH = with_birth((ONE,), TWO)


def rejected(kind: str, body: bytes, *births: Birth, device: str | None = "g/e/u") -> str:
    with pytest.raises(FrameError) as caught:
        PARSER(frame(kind, body, *births, device=device))
    return caught.value.reason


def test_data_is_of_the_birth_before_it_whenever_it_comes() -> None:
    for seconds, power, temperature in ((30, 1, 2), (59.999, 1, 2), (60, 2, 1), (90, 2, 1)):
        body = payload(
            ms(seconds),
            metric(DOUBLE, 7.5, alias=power, typed=False),
            metric(INT16, -9, alias=temperature, typed=False),
        )
        assert values(PARSER(frame("DDATA", body, *BOTH))) == {seconds: {"power": 7.5, "t": -9}}


def test_historical_metrics_and_further_values_keep_their_own_time() -> None:
    body = payload(
        ms(90),
        metric(DOUBLE, 1.0, alias=2, at=ms(10), typed=False, historical=True),
        metric(DOUBLE, 2.0, alias=2, at=ms(20), typed=False, historical=True),
        metric(DOUBLE, 3.0, alias=2, at=ms(89), typed=False),
        metric(DOUBLE, 4.0, alias=2, at=ms(89.5), typed=False),
        metric(INT16, -1, alias=1, at=ms(80), typed=False),
    )
    assert values(PARSER(frame("DDATA", body, *BOTH))) == {
        10: {"power": 1.0},
        20: {"power": 2.0},
        90: {"power": 3.0, "t": -1},
        89.5: {"power": 4.0},
    }


def test_a_birth_has_values_beside_it() -> None:
    note, reading = PARSER(frame("DBIRTH", payload(ms(0), metric(BOOLEAN, True, name="On", alias=9))))
    assert isinstance(note, Noted) and note.session == {"aliases": {"9": "On"}, "types": {"On": BOOLEAN}}
    assert reading.values == {"On": 1} and reading.device_id == "g/e/u"


def test_what_no_birth_explains_is_rejected() -> None:
    alias = payload(ms(90), metric(DOUBLE, 1.0, alias=3, typed=False))
    untyped = payload(ms(90), metric(INT32, -1, name="other", typed=False))
    for births in ((), BOTH):
        assert rejected("DDATA", alias, *births) == "no-session"
        assert rejected("DDATA", untyped, *births) == "no-session"
    # One unknown alias makes the others doubtful.
    mixed = payload(ms(90), metric(DOUBLE, 1.0, alias=2, typed=False), metric(DOUBLE, 1.0, alias=3, typed=False))
    assert rejected("DDATA", mixed, *BOTH) == "no-session"
    # A number that has its name and type, or needs no type, needs no birth.
    whole = payload(ms(90), metric(UINT64, 5, name="power"), metric(DOUBLE, 2.5, name="t", typed=False))
    assert values(PARSER(frame("DDATA", whole))) == {90: {"power": 5, "t": 2.5}}


def test_messages_that_are_not_whole() -> None:
    one = metric(DOUBLE, 1.0, name="power")
    assert rejected("DDATA", payload(ms(0), one, seq=None)) == "no-seq"
    assert rejected("DDATA", payload(None, one)) == "bad-time"
    assert rejected("DDATA", payload(2**60, one)) == "bad-time"
    assert rejected("DDATA", payload(ms(0), one), device=None) == "no-id"
    assert rejected("NDEATH", b"\xff") == "not-protobuf"


def test_a_death_is_no_sign_of_life() -> None:
    for kind in ("NDEATH", "DDEATH"):
        (note,) = PARSER(frame(kind, payload(None, seq=None)))
        assert isinstance(note, Noted) and not note.alive


def test_a_site_names_its_metrics(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        '[types.sparkplug.fields]\nactive_power = { source = ["Line 1/W"], sent_in = "W" }\n'
        'pressure = { unit = "bar", source = ["Hydraulics.Pressure"] }\n'
    )
    datatype = discover(read_site(path), "sparkplug")["sparkplug"]
    body = payload(ms(0), metric(DOUBLE, 1500.0, name="Line 1/W"), metric(DOUBLE, 2.5, name="Hydraulics.Pressure"))
    (reading,) = datatype.parse(frame("DDATA", body))
    assert Checker(datatype).check(reading.values) == ({"active_power": 1.5, "pressure": 2.5}, {})


def test_a_frame_on_another_topic_is_rejected() -> None:
    body = payload(ms(0), metric(DOUBLE, 1.0, name="power"))
    for topic in ("", "a/b", "spBv1.0/g/NCMD/e", "http/sparkplug"):
        with pytest.raises(FrameError) as caught:
            PARSER(Frame(topic=topic, payload=body, device="D"))
        assert caught.value.reason == "bad-topic"
