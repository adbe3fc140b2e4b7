"""The frames that a data type claims: by MQTT topic, or by the registration packet of a TCP gateway."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Protocol, TypeGuard

from greenpower.datatype.error import DeclarationError

DEVICE_ID = re.compile(r"[^\x00-\x20$\x7f][^\x00-\x1f\x7f]{0,63}")


def is_device_id(value: object) -> TypeGuard[str]:
    """Whether a value is a device id: 1 to 64 printable characters, with no `$` or space at the start."""
    return isinstance(value, str) and DEVICE_ID.fullmatch(value) is not None and value.isprintable()


@dataclass(frozen=True, slots=True)
class Mqtt:
    """A claim on an MQTT topic; `+` and a final `#` match as in MQTT.

    device: the device id of frames that have none. device_level: the level of the topic, counted from 0, that is the
    device id. noted: why frames on this topic are no readings; they are stored as events with the outcome `noted` and
    not parsed. Raises DeclarationError.
    """

    topic: str
    _: KW_ONLY
    device: str | None = None
    device_level: int | None = None
    noted: str = ""

    def __post_init__(self) -> None:
        levels = self.topic.split("/")
        wild = any(("+" in level and level != "+") or ("#" in level and level != "#") for level in levels)
        if not self.topic or "\0" in self.topic or wild or "#" in levels[:-1] or self.topic.startswith("$"):
            raise DeclarationError(f"topic {self.topic!r} is not a valid MQTT topic filter")
        if self.device is not None and not is_device_id(self.device):
            raise DeclarationError(f"topic {self.topic!r}: device {self.device!r} is not a valid device id")
        if self.device_level is not None:
            if self.device is not None:
                raise DeclarationError(f"topic {self.topic!r}: give device or device_level, not both")
            if not 0 <= self.device_level < len(levels) - ("#" in levels):
                raise DeclarationError(f"topic {self.topic!r} has no level {self.device_level}")

    @property
    def is_exact(self) -> bool:
        """Whether the claim is a single topic without wildcards."""
        return "+" not in self.topic and "#" not in self.topic

    def matches(self, topic: str) -> bool:
        """Whether the claim matches a topic."""
        return topics_overlap(self.topic, topic)

    def at(self, topic: str) -> Mqtt:
        """The claim for a topic that it matches: `device` is set from the topic if `device_level` is given."""
        if self.device_level is None:
            return self
        level = topic.split("/")[self.device_level]
        return replace(self, device_level=None, device=level if is_device_id(level) else None)


def topics_overlap(one: str, other: str) -> bool:
    """Whether any topic matches both filters. A topic without wildcards is a filter too."""
    mine, theirs = one.split("/"), other.split("/")
    for index in range(max(len(mine), len(theirs))):
        left = mine[index] if index < len(mine) else None
        right = theirs[index] if index < len(theirs) else None
        if left == "#" or right == "#":
            return True
        if left is None or right is None or (left != right and "+" not in (left, right)):
            return False
    return len(mine) == len(theirs)


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

    dialogue: makes the `Dialogue` of one connection from this claim. Raises DeclarationError.
    """

    registration: str
    dialogue: Callable[[Tcp], Dialogue]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[!-~]{4,48}", self.registration) or not self.registration.strip("#"):
            raise DeclarationError(
                f"registration {self.registration!r} is not 4 to 48 printable ASCII characters with one that is not #"
            )

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """A pattern that matches the registration packet at the start of a stream."""
        parts = (b"[0-9]" if char == "#" else re.escape(char.encode()) for char in self.registration)
        return re.compile(b"".join(parts))

    def overlaps(self, other: Tcp) -> bool:
        """Whether one stream can match both claims."""
        pairs = zip(self.registration, other.registration, strict=False)
        return all(a == b or (a == "#" and b.isdigit()) or (b == "#" and a.isdigit()) for a, b in pairs)
