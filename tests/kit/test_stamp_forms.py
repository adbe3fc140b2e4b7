"""The forms of stamps that the kit puts into samples: what each means to the core, and where they are in frames."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenpower.datatype.stamp import parse_time
from greenpower.ingest.steps.clock import ClockRule
from greenpower.kit.stamp_forms import WRITTEN_TIMES
from greenpower.simulator.stamp_text import stamp_texts

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
AT = datetime(2026, 11, 23, 8, 15, 7, 250_000, tzinfo=UTC)
DHAKA = ZoneInfo("Asia/Dhaka")


#: what parsers of naive and aware stamps get wrong, for a device in Dhaka
EXPECTED = {
    "2026-11-20T06:00:00+06:00": MIDNIGHT,
    "2026-11-20T00:00:00Z": MIDNIGHT,
    "2026-11-20T00:00:00.123456789Z": MIDNIGHT + timedelta(milliseconds=123),
    "1795132800": MIDNIGHT,
    "1795132800000": MIDNIGHT,
    "20261120060000": MIDNIGHT,
}


def test_each_form_means_the_same_to_kit_and_core() -> None:
    rule = ClockRule(backlog=timedelta(days=35), tolerance=timedelta(seconds=300), zone=DHAKA)
    assert [written.text for written in WRITTEN_TIMES] == [*EXPECTED]
    for written in WRITTEN_TIMES:
        given = int(written.text) if len(written.text) in (10, 13) else written.text
        assert parse_time(given) == written.means
        assert rule.measured(written.means, MIDNIGHT) == EXPECTED[written.text]


@pytest.mark.parametrize(
    ("payload", "sent_again"),
    [
        (b'{"t":"2026-11-20T06:00:00+06:00"}', b'{"t":"2026-11-23T08:15:07+00:00"}'),
        (b'{"t":"2026-11-20 06:00:00.123Z","a":1}', b'{"t":"2026-11-23 08:15:07.250Z","a":1}'),
        (b'{"t":"2026-11-20T06:00:00"}', b'{"t":"2026-11-23T14:15:07"}'),
        (b"20261120060000,7", b"20261123141507,7"),
        (b'{"t":1795132800}', b'{"t":1795421707}'),
        (b'{"t":1795132800123}', b'{"t":1795421707250}'),
        (b"power=1 1795132800000000000", b"power=1 1795421707250000000"),
        (b'{"t":1795132800.04}', b'{"t":1795421707.00}'),
    ],
)
def test_a_device_writes_another_time_in_the_same_form(payload: bytes, sent_again: bytes) -> None:
    (text,) = stamp_texts(payload)
    assert text.put(payload, text.write(AT, DHAKA)) == sent_again


def test_other_numbers_are_no_stamps() -> None:
    assert not [*stamp_texts(b'{"a":12345,"b":12.5,"c":"123456789012","serial":"A1795132800","d":17951328001}')]
