"""Device stamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import FrameError, parse_epoch, parse_stamp


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
