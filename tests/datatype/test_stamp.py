"""Device stamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import FrameError, parse_epoch, parse_stamp, parse_time
from greenpower.datatype.stamp import TIME_FORMS, TimeForm


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260112163900", "2026-01-12T16:39:00"),
        ("20050118211500", "2005-01-18T21:15:00"),
        ("2026-01-12T16:39:00", "2026-01-12T16:39:00"),
        ("2026-01-12 16:39:00", "2026-01-12T16:39:00"),
        ("2026-01-12T16:39:00+06:00", "2026-01-12T16:39:00+06:00"),
        ("2026-01-12T16:39:00z", "2026-01-12T16:39:00+00:00"),
        ("20260112T163900Z", "2026-01-12T16:39:00+00:00"),
        ("2026-01-12T16:39:00.123987+06:00", "2026-01-12T16:39:00.123000+06:00"),
    ],
)
def test_stamps_of_both_shapes(text: str, expected: str) -> None:
    assert parse_stamp(text).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "20261399250000",
        "20260230000000",
        "20260112246000",
        "2026011216390",
        "00000000000000",
        "00010101000000",
        "19691231235959",
        "99990101000000",
        "٢٠٢٦٠١١٢١٦٣٩٠٠",
        "2026-01-12",
        "2026-W03-1",
        "now",
        "\ud800",
        "\0",
        " 20260112163900",
        "2026-01-12T16:39:00+99:00",
        "2026-01-12T16:39:00." + "0" * 10_000,
        "1" * 100_000,
    ],
)
def test_bad_stamps(text: str) -> None:
    with pytest.raises(FrameError) as caught:
        parse_stamp(text)
    assert caught.value.reason == "bad-time"
    assert len(caught.value.detail) <= 200
    caught.value.detail.encode()


@given(st.text(max_size=60) | st.from_regex(r"[0-9]{14}", fullmatch=True) | st.datetimes().map(datetime.isoformat))
def test_any_text_is_a_stamp_that_every_zone_can_hold_or_an_error(text: str) -> None:
    try:
        stamp = parse_stamp(text)
    except FrameError as error:
        assert error.reason == "bad-time"
        return
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        moved = (stamp if stamp.tzinfo else stamp.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
        moved += timedelta(days=1)
        assert moved.microsecond % 1000 == 0


@given(st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31)))
def test_a_compact_stamp_is_read_to_the_second(moment: datetime) -> None:
    assert parse_stamp(f"{moment:%Y%m%d%H%M%S}".zfill(14)) == moment.replace(microsecond=0)


@pytest.mark.parametrize("value", [1768212345000, 1768212345000.0, "1768212345000"])
def test_epoch_milliseconds(value: object) -> None:
    assert parse_epoch(value) == datetime(2026, 1, 12, 10, 5, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [None, True, -1, 1.5, 10**30, 2**63, 253_402_300_800_000, float("nan"), float("inf"), "", "x", [], {}, "٢"]
)
def test_bad_epoch_times(value: object) -> None:
    with pytest.raises(FrameError) as caught:
        parse_epoch(value)
    assert caught.value.reason == "bad-time"


MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
DHAKA = ZoneInfo("Asia/Dhaka")


@pytest.mark.parametrize(
    ("sent", "milliseconds"),
    [
        ("2026-11-20T06:00:00+06:00", 0),
        ("2026-11-20T00:00:00Z", 0),
        ("2026-11-20T00:00:00.123456789Z", 123),
        (1795132800, 0),
        (1795132800000, 0),
        ("20261120060000", 0),
        # and others of their kinds
        ("2026-11-20 06:00:00 +0600", 0),
        ("2026-11-20T06:00+06", 0),
        ("2026-11-20t00:00:00,9999999z", 999),
        ("2026-11-20 00:00:00 UTC", 0),
        ("20261120T000000.5Z", 500),
        ("2026-W47-5T00:00:00Z", 0),
        ("2026-11-20T06:00:00", 0),
        ("1795132800", 0),
        ("1795132800123", 123),
        (1795132800.123, 123),
        (1795132800.9999, 999),
        (1795132800.0, 0),
        (1795132800_123_999, 123),
        (1795132800_123_999_999, 123),
        (20261120060000, 0),
        (1795132800123.7, 123),
    ],
)
def test_one_instant_in_every_form(sent: object, milliseconds: int) -> None:
    stamp = parse_time(sent)
    found = (stamp if stamp.tzinfo else stamp.replace(tzinfo=DHAKA)).astimezone(UTC)
    assert found == MIDNIGHT + timedelta(milliseconds=milliseconds)


NO_COUNTS: tuple[object, ...] = (True, -1, 10**20, float("nan"), float("inf"), [], {}, "", "x", "12", "٢" * 10)
BAD_TIMES: list[tuple[object, str]] = [(value, "auto") for value in NO_COUNTS] + [
    ("2026-11-20T00:00:00Z", "s"),
    ("1e5", "ms"),
    (None, "s"),
    ("9" * 50, "ns"),
    (10**12, "s"),
    (-0.5, "ms"),
]


@pytest.mark.parametrize(("value", "form"), BAD_TIMES)
def test_what_is_no_time(value: object, form: TimeForm) -> None:
    with pytest.raises(FrameError) as caught:
        parse_time(value, form)
    assert caught.value.reason == "bad-time"


def test_a_declared_form_holds_from_1970_on() -> None:
    for form, unit in (("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)):
        for seconds in (0, 5, 1795132800):
            for value in (seconds * unit, float(seconds * unit), str(seconds * unit)):
                assert parse_time(value, form) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)  # type: ignore[arg-type]


@given(st.integers(10**8, 10**11 - 1), st.integers(0, 999))
def test_size_tells_the_unit(seconds: int, part: int) -> None:
    wanted = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, milliseconds=part)
    count = seconds * 1000 + part
    if not 1970 * 10**10 <= count < 10**14:  # else it looks like YYYYMMDDhhmmss
        assert parse_time(count) == wanted
    assert parse_time(count * 1000) == wanted
    assert parse_time(count * 1_000_000) == wanted


@given(st.integers() | st.floats() | st.text(max_size=40) | st.booleans() | st.none(), st.sampled_from(TIME_FORMS))
def test_anything_is_a_stamp_or_an_error(value: object, form: TimeForm) -> None:
    try:
        stamp = parse_time(value, form)
    except FrameError as error:
        assert error.reason == "bad-time"
        error.detail.encode()
    else:
        assert stamp.microsecond % 1000 == 0
        (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).astimezone(DHAKA)
