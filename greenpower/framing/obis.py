"""Reading telegrams of the P1 port: values under OBIS codes, and meters of gas, water or heat behind the meter.

    0-0:1.0.0(261129101500W)                     the meter's clock, W winter, S summer
    1-0:1.8.1(000123.456*kWh)                    a value
    0-1:96.1.0(4730…)                            the id of the meter on channel 1, characters in hexadecimal
    0-1:24.2.1(261129100500W)(00123.456*m3)      its value, and when it was read

What belongs here: the parser. What does not: where a telegram starts and ends (`telegram`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from greenpower.datatype import Frame, FrameError, Reading, is_device_id
from greenpower.framing.telegram import check_telegram

LINE = re.compile(r"([0-9]{1,3}-[0-9]{1,3}:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})((?:\([^()]*\))+)")
GROUP = re.compile(r"\(([^()]*)\)")
NUMBER = re.compile(r"(-?[0-9]{1,12}(?:\.[0-9]{1,6})?)(?:\*([A-Za-z0-9]{1,6}))?")
STAMP = re.compile(r"([0-9]{12})([SW])")
CLOCK = "0-0:1.0.0"
METER_ID = "0-0:96.1.1"
CHANNELS = range(1, 5)
#: the offset of the meters' clocks from UTC, in hours, in winter and in summer
OFFSETS = {"W": 1, "S": 2}


class TelegramParser:
    """Reads a telegram. codes: OBIS code -> field. channels: unit of the value of a meter on a channel -> field.

    The device id is that of the site file, else the one in the telegram; meters on channels are devices of their own.
    """

    def __init__(self, codes: Mapping[str, str], channels: Mapping[str, str]) -> None:
        self._codes = dict(codes)
        self._channels = dict(channels)

    @property
    def fields(self) -> frozenset[str]:
        """The names of all values."""
        return frozenset({*self._codes.values(), *self._channels.values()})

    def __call__(self, frame: Frame) -> tuple[Reading, ...]:
        """One reading of the meter, and one of each meter on its channels.

        Raises FrameError: not-a-telegram, wrong-crc, no-id, bad-time, no-values.
        """
        if not frame.payload.startswith(b"/") or b"!" not in frame.payload:
            raise FrameError("not-a-telegram", f"{len(frame.payload)} bytes")
        try:
            checked = check_telegram(frame.payload)
        except ValueError:
            raise FrameError("wrong-crc", "what follows the last line is no CRC") from None
        if checked.fault:
            raise FrameError(checked.fault, checked.detail)
        text = frame.payload.decode("ascii", "replace")
        lines = {code: GROUP.findall(groups) for code, groups in LINE.findall(text)}
        device = frame.device or _identity(lines.get(METER_ID))
        if device is None:
            raise FrameError("no-id", "neither the site file nor the telegram names the meter")
        values = {}
        for code, field in self._codes.items():
            if (number := _number(lines.get(code, [""])[-1])) is not None:
                values[field] = number[0]
        stamp = _stamp(lines[CLOCK][0]) if CLOCK in lines else None
        found = [Reading(device_id=device, values=values, stamp=stamp)] if values else []
        found += [item for channel in CHANNELS if (item := self._channel(lines, channel, device)) is not None]
        if not found:
            raise FrameError("no-values", "no line has a code that is known")
        return tuple(found)

    def _channel(self, lines: Mapping[str, list[str]], channel: int, device: str) -> Reading | None:
        """The reading of the meter on a channel; None where there is none that is known."""
        groups = lines.get(f"0-{channel}:24.2.1", [])
        number = _number(groups[-1]) if len(groups) > 1 else None
        if number is None or (field := self._channels.get(number[1])) is None:
            return None
        own = _identity(lines.get(f"0-{channel}:96.1.0"))
        return Reading(device_id=own or f"{device}-{channel}", values={field: number[0]}, stamp=_stamp(groups[0]))


def _number(text: str) -> tuple[float, str] | None:
    """A number and its unit; None where there is none."""
    found = NUMBER.fullmatch(text)
    if found is None:
        return None
    number = found[1]
    return (float(number) if "." in number else int(number)), found[2] or ""


def _identity(groups: list[str] | None) -> str | None:
    """The id of a meter: characters in hexadecimal."""
    try:
        text = bytes.fromhex(groups[0]).decode("ascii") if groups else ""
    except ValueError:
        text = ""
    return text if is_device_id(text) else None


def _stamp(text: str) -> datetime:
    """A time of the meter's clock, aware. Raises FrameError bad-time."""
    found = STAMP.fullmatch(text)
    try:
        if found is None:
            raise ValueError("it is not YYMMDDhhmmss and S or W")
        zone = timezone(timedelta(hours=OFFSETS[found[2]]))
        return datetime.strptime(f"20{found[1]}", "%Y%m%d%H%M%S").replace(tzinfo=zone)
    except ValueError as error:
        raise FrameError("bad-time", f"{text!a:.40}: {error}") from None
