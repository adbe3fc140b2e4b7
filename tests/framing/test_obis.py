"""What telegrams say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenpower.datatype import Frame, FrameError
from greenpower.framing.obis import TelegramParser
from tests.framing.test_telegram import signed

PARSER = TelegramParser({"1-0:1.8.1": "imported", "1-0:1.7.0": "power", "1-0:21.7.0": "power_a"}, {"m3": "volume"})
HEAD = b"/ABC5\\2TEST\r\n\r\n1-3:0.2.8(50)\r\n"
METER = b"0-0:1.0.0(261129101500W)\r\n0-0:96.1.1(4530303031)\r\n"
FAILURES = b"1-0:99.97.0(1)(0-0:96.7.19)(200804153917S)(0000003442*s)\r\n"
VALUES = b"1-0:1.8.1(000123.456*kWh)\r\n1-0:1.7.0(00.321*kW)\r\n" + FAILURES
GAS = b"0-1:24.1.0(003)\r\n0-1:96.1.0(473031)\r\n0-1:24.2.1(260729100500S)(04473.981*m3)\r\n"


def read(body: bytes, device: str | None = None) -> dict[str | None, tuple[datetime | None, dict[str, object]]]:
    found = PARSER(Frame(topic="t", payload=signed(body + b"!"), device=device))
    return {item.device_id: (item.stamp, item.values) for item in found}


def test_a_meter_and_the_gas_meter_behind_it() -> None:
    assert read(HEAD + METER + VALUES + GAS) == {
        "E0001": (datetime(2026, 11, 29, 9, 15, tzinfo=UTC), {"imported": 123.456, "power": 0.321}),
        "G01": (datetime(2026, 7, 29, 8, 5, tzinfo=UTC), {"volume": 4473.981}),
    }


def test_the_site_may_name_the_meter() -> None:
    assert set(read(HEAD + METER + VALUES, "HALL")) == {"HALL"}
    assert set(read(HEAD + VALUES + GAS.replace(b"0-1:96.1.0(473031)\r\n", b""), "HALL")) == {"HALL", "HALL-1"}


def test_an_old_meter_has_neither_clock_nor_checksum() -> None:
    (reading,) = PARSER(Frame(topic="t", payload=HEAD + VALUES + b"!\r\n", device="HALL"))
    assert reading.stamp is None and reading.values["imported"] == 123.456


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not-a-telegram"),
        (b"{}", "not-a-telegram"),
        (signed(HEAD + METER + VALUES + b"!").replace(b"123.456", b"123.457"), "wrong-crc"),
        (HEAD + METER + VALUES + b"!xyz\r\n", "wrong-crc"),
        (signed(HEAD + VALUES + b"!"), "no-id"),
        (signed(HEAD + METER + b"!"), "no-values"),
        (signed(HEAD + METER.replace(b"261129", b"261329") + VALUES + b"!"), "bad-time"),
        (signed(HEAD + METER.replace(b"W", b"X") + VALUES + b"!"), "bad-time"),
    ],
)
def test_what_is_no_reading(payload: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        PARSER(Frame(topic="t", payload=payload))
    assert caught.value.reason == reason
