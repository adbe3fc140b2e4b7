"""The frames that a data type claims: by MQTT topic, by the registration packet of a TCP gateway, or by a name under
which they are pushed over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Protocol, TypeGuard

from greenpower.datatype.error import DeclarationError
from greenpower.datatype.packet import Packet, check_registration, read_packet
from greenpower.datatype.topic import (
    NAME_IN_TEXT,
    WILDCARDS,
    check_filter,
    fill_names,
    level_names,
    narrow,
    plain_filter,
    read_levels,
    read_names,
    topics_overlap,
)

# Before the name of a claim, in what stands for the topic of frames that are pushed.
PUSHED = "http/"
MINUTE_MILLISECONDS = 60_000
DEVICE_ID = re.compile(r"[^\x00-\x20$\x7f][^\x00-\x1f\x7f]{0,63}")


def is_device_id(value: object) -> TypeGuard[str]:
    """Whether a value is a device id: 1 to 64 printable characters, with no `$` or space at the start."""
    return isinstance(value, str) and DEVICE_ID.fullmatch(value) is not None and value.isprintable()


@dataclass(frozen=True, slots=True)
class Mqtt:
    """A claim on an MQTT topic; `+` and a final `#` match as in MQTT. A level in braces matches as `+` does and has a
    name: `shellies/{device}/emeter/{channel}/{field}`. `{rest#}` at the end matches all further levels.

    device: the device id of frames that have none; the names of levels in it are filled in: `{device}-{channel}`.
    device_level: the level of the topic, counted from 0, that is the device id. Without either, a level named `device`
    is. gather: devices send a reading's values one by one; those without a stamp that come within so many seconds are
    one reading. A minute is a multiple of it. noted: why frames on this topic are no readings; they are stored as
    events with the outcome `noted` and not parsed. Of several claims on a topic, the one on the fewest topics counts.
    Raises DeclarationError.
    """

    topic: str
    _: KW_ONLY
    device: str | None = None
    device_level: int | None = None
    gather: float | None = None
    noted: str = ""

    def __post_init__(self) -> None:
        check_filter(self.topic)
        names = self.level_names
        if self.device is not None:
            used = NAME_IN_TEXT.findall(self.device) if names else []
            if unknown := sorted({*used} - {*names}):
                raise DeclarationError(
                    f"topic {self.topic!r}: device {self.device!r} names {', '.join(unknown)}, which is no level"
                )
            if not used and not is_device_id(self.device):
                raise DeclarationError(f"topic {self.topic!r}: device {self.device!r} is not a valid device id")
        if self.device_level is not None:
            if self.device is not None:
                raise DeclarationError(f"topic {self.topic!r}: give device or device_level, not both")
            levels = self.filter.split("/")
            if not 0 <= self.device_level < len(levels) - ("#" in levels):
                raise DeclarationError(f"topic {self.topic!r} has no level {self.device_level}")
        if self.gather is not None and not is_slot_length(self.gather):
            raise DeclarationError(
                f"topic {self.topic!r}: gather={self.gather} is not a number of seconds, in whole milliseconds, of "
                "which a minute is a multiple, such as 1, 2, 5 or 10"
            )

    @property
    def filter(self) -> str:
        """The topic as a broker takes it: with wildcards for named levels."""
        return plain_filter(self.topic)

    @property
    def level_names(self) -> tuple[str, ...]:
        """The names of the named levels, in order."""
        return level_names(self.topic)

    @property
    def is_exact(self) -> bool:
        """Whether the claim is a single topic without wildcards."""
        return "+" not in self.filter and "#" not in self.filter

    @property
    def names_device(self) -> bool:
        """Whether the claim says which device a frame is of, when the frame does not."""
        return self.device is not None or self.device_level is not None or "device" in self.level_names

    def matches(self, topic: str) -> bool:
        """Whether the claim matches a topic."""
        return topics_overlap(self.filter, topic)

    def levels(self, topic: str) -> dict[str, str]:
        """The named levels of a topic that the claim matches: {name: text}."""
        return read_levels(self.topic, topic)

    def at(self, topic: str) -> Mqtt:
        """The claim for a topic that it matches: `device` is set from the topic where levels give it."""
        if self.device_level is not None:
            device = topic.split("/")[self.device_level]
        elif (pattern := self._device_pattern) is not None:
            device = fill_names(pattern, self.levels(topic))
        else:
            return self
        found = device if is_device_id(device) else None
        return replace(self, topic=self.filter, device_level=None, device=found)

    def narrowed(self, device_id: str) -> str | None:
        """The plain filter of the topics on which a device sends; None where it sends on none of them."""
        if (pattern := self._device_pattern) is not None:
            levels = read_names(pattern, device_id)
            return None if levels is None else narrow(self.topic, levels)
        if self.device_level is None:
            return self.filter if self.device in (None, device_id) else None
        own = self.filter.split("/")
        if own[self.device_level] not in ("+", device_id) or WILDCARDS & set(device_id):
            return None
        own[self.device_level] = device_id
        return "/".join(own)

    @property
    def _device_pattern(self) -> str | None:
        """The device id with names of levels in it; None where it has none."""
        names = self.level_names
        if self.device is None:
            return "{device}" if "device" in names and self.device_level is None else None
        return self.device if names and NAME_IN_TEXT.search(self.device) else None


def is_slot_length(seconds: float) -> bool:
    """Whether values can be gathered for so long: whole milliseconds that divide a minute."""
    milliseconds = seconds * 1000
    return 0 < milliseconds <= MINUTE_MILLISECONDS and MINUTE_MILLISECONDS % milliseconds == 0


class Dialogue(Protocol):
    """The protocol with one TCP gateway, without I/O: bytes in, bytes and frames out. It uses no socket and no clock.

    The caller calls `receive` with received bytes, `tick` at `deadline`, and `close` at the end. After each of these
    calls it sends the bytes from `take_output`, and takes the frames and notes. Times are seconds of one monotonic
    clock. After a FrameError the caller closes the connection; frames and notes can still be taken.
    """

    @property
    def device_id(self) -> str | None:
        """The device id from the registration packet; None before the packet."""

    @property
    def heard(self) -> float | None:
        """Time of the last registration packet, heartbeat or answer; None before the first."""

    @property
    def deadline(self) -> float | None:
        """When to call `tick`; None if the protocol waits for nothing."""

    def receive(self, data: bytes, now: float) -> None:
        """Read bytes of the stream. Raises FrameError if the connection cannot continue."""

    def tick(self, now: float) -> None:
        """Handle timeouts; an early call does nothing. Raises FrameError if the gateway was silent for too long."""

    def close(self) -> None:
        """Note what is unfinished at the end of the connection."""

    def take_output(self) -> bytes:
        """The bytes to send; each is given once."""

    def take_frames(self) -> list[tuple[bytes, float]]:
        """The complete frames, each given once: (payload, time of its last byte)."""

    def take_notes(self) -> list[tuple[str, str, bytes]]:
        """Notes on missing answers and unknown bytes, each given once: (reason, detail, bytes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """A claim on TCP gateways by their registration packet. `#` stands for one digit: `SITE####`.

    registration: as text, or with `mac:` or `hex:` before it (`greenpower.datatype.packet`). heartbeat: what the
    gateway sends from time to time, in the same forms; "" for the registration packet again. dialogue: makes the
    `Dialogue` of one connection from this claim. Raises DeclarationError.
    """

    registration: str
    dialogue: Callable[[Tcp], Dialogue]
    heartbeat: str = ""

    def __post_init__(self) -> None:
        check_registration(self.registration)
        if self.heartbeat:
            read_packet(self.heartbeat, "heartbeat")

    @property
    def packet(self) -> Packet:
        """The registration packet."""
        return read_packet(self.registration)

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """A pattern that matches the registration packet at the start of a stream."""
        return re.compile(b"".join(self.packet.atoms), re.DOTALL)

    def overlaps(self, other: Tcp) -> bool:
        """Whether one stream can match both claims."""
        return self.packet.overlaps(other.packet)


@dataclass(frozen=True, slots=True)
class Http:
    """A claim on frames that are pushed over HTTP, to `/api/ingest/<name>/`.

    name: last part of that path. device: the device id of frames that have none; else that of the key they are sent
    with, if it is for one device. Raises DeclarationError.
    """

    name: str
    _: KW_ONLY
    device: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", self.name):
            raise DeclarationError(f"claim {self.name!r} must be of a-z, 0-9, _ and - and not start with _ or -")
        if self.device is not None and not is_device_id(self.device):
            raise DeclarationError(f"claim {self.name!r}: device {self.device!r} is not a valid device id")

    @property
    def topic(self) -> str:
        """What stands for the topic of such frames."""
        return PUSHED + self.name
