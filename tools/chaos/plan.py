"""What the fault suite sends: every frame told by its number alone, so that sender and checker share no list.

In each round every meter sends one `rt` frame, and a quarter of them also an `eny_now` reading in two packets. Some
frames come late, some twice, some with an all-zero twin, some registers dip. Imports nothing of greenpower.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

RT, ENERGY = "MQTT_RT_DATA", "MQTT_ENY_NOW"
SPACING = 5
ZONE = timezone(timedelta(hours=6))
LATE_BY = 2_000

# One frame in so many, picked by its number: comes late, comes twice, has an all-zero twin; a register that dips.
LATE, TWICE, TWIN, DIP = 61, 97, 199, 211


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """So many frames of so many meters, stamps before `end` (epoch seconds). prefix: three characters of device ids.

    An item is what is sent: a frame by its number, or its all-zero twin, `frames` higher.
    """

    frames: int
    meters: int
    end: int
    prefix: str = "33C"

    @property
    def energy(self) -> int:
        return max(1, self.meters // 4)

    @property
    def size(self) -> int:
        """Frames a round."""
        return self.meters + 2 * self.energy

    @property
    def begin(self) -> int:
        return self.end - SPACING * -(-self.frames // self.size)

    def device(self, index: int) -> str:
        return f"{self.prefix}{index:010d}"

    def items(self) -> Iterator[int]:
        """What is sent, in order."""
        later: deque[tuple[int, int]] = deque()
        for number in range(self.frames):
            mixed = mix(number)
            if mixed % TWIN == 0 and self._place(number)[2] == 0:
                yield self.frames + number
            if mixed % LATE == 0:
                later.append((number + LATE_BY, number))
            else:
                yield number
            if mixed % TWICE == 0:
                yield number
            while later and later[0][0] <= number:
                yield later.popleft()[1]
        yield from (number for _, number in later)

    def message(self, item: int) -> tuple[str, str]:
        """Topic and payload of an item."""
        number, zero = item % self.frames, item >= self.frames
        index, seconds, part = self._place(number)
        values = self._energy(number, index, part) if self._is_energy(number) else self._rt(number)
        if zero:
            values = dict.fromkeys(values, 0)
        pairs = ",".join(f'"{name}":{value}' for name, value in values.items())
        topic = ENERGY if self._is_energy(number) else RT
        whole = "0" if topic == ENERGY and part == 0 else "1"
        body = f'{{"id":"{self.device(index)}",{pairs},"time":"{stamp(seconds)}","isend":"{whole}"}}'
        return topic, body

    def item_of(self, topic: str, raw: str) -> int:
        """The item that this message is; -1 if none."""
        part = 0 if topic == RT or raw[-3] == "0" else 1
        try:
            number = self.number(topic, raw[7:20], seconds_of(raw[-28:-14]), part)
        except ValueError:
            return -1
        is_twin = raw.split(":", 3)[2].startswith("0,")
        return number + self.frames if is_twin and number >= 0 else number

    def number(self, topic: str, device: str, seconds: int, part: int) -> int:
        """The frame that a meter sends with this stamp; -1 if there is none."""
        if device[:3] != self.prefix:
            return -1
        index = int(device[3:])
        turn, rest = divmod(seconds - index % SPACING - self.begin, SPACING)
        slot = index if topic == RT else self.meters + part * self.energy + index
        number = turn * self.size + slot
        return number if rest == 0 and turn >= 0 and number < self.frames else -1

    def reading_of(self, number: int) -> tuple[str, str, int]:
        """Topic, device and stamp (epoch seconds) of the reading that a frame belongs to."""
        index, seconds, _ = self._place(number)
        return ENERGY if self._is_energy(number) else RT, self.device(index), seconds

    def reading(self, number: int) -> dict[str, float]:
        """What is to be stored of the reading that this frame belongs to."""
        values = _values(self.message(number)[1])
        other = number + self.energy
        if self._is_energy(number) and other < self.frames:
            values |= _values(self.message(other)[1])
        return values

    def _is_energy(self, number: int) -> bool:
        return number % self.size >= self.meters

    def _place(self, number: int) -> tuple[int, int, int]:
        """Device, stamp (epoch seconds) and part of a frame."""
        turn, slot = divmod(number, self.size)
        part, index = (0, slot) if slot < self.meters else divmod(slot - self.meters, self.energy)
        return index, self.begin + turn * SPACING + index % SPACING, part

    def _rt(self, number: int) -> dict[str, float]:
        mixed = mix(number)
        return {
            "ua": 200 + mixed % 60_001 / 1000,
            "ub": 200 + mixed % 50_021 / 1000,
            "ia": mixed % 9_973 / 100,
            "pa": number % 1_000_000,
            "zyggl": (mixed % 90_001 - 45_000) / 1000,
            "uxja": mixed % 3_600 / 10,
            "f": 49 + mixed % 2_003 / 1000,
        }

    def _energy(self, number: int, index: int, part: int) -> dict[str, float]:
        turn, mixed = number // self.size, mix(number)
        if part == 0:
            register = 0 if mixed % DIP == 0 else 1000 + index + turn / 2
            return {"fygsz": 1 + turn, "zygsz": register, "zwgsz": turn * 3 + mixed % 3}
        return {"dmpmax": mixed % 7_001 / 10, "uathd": mixed % 997 / 10, "dmpmaxoct": self.begin + turn}


def mix(number: int) -> int:
    """A number without pattern, always the same for the same."""
    mixed = (number + 1) * 2_654_435_761 & 0xFFFFFFFF
    return (mixed ^ mixed >> 15) * 2_246_822_519 & 0xFFFFFFFF


@lru_cache(maxsize=4096)
def stamp(seconds: int) -> str:
    """A stamp as a meter of the site writes it."""
    return datetime.fromtimestamp(seconds, ZONE).strftime("%Y%m%d%H%M%S")


@lru_cache(maxsize=65_536)
def seconds_of(text: str) -> int:
    """The other way round. Raises ValueError."""
    return int(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=ZONE).astimezone(UTC).timestamp())


def _values(body: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(body)
    return {name: value for name, value in found.items() if name not in ("id", "time", "isend")}
