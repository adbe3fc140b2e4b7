"""What a data type claims of the wire: MQTT topics, and registration packets of TCP gateways."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Protocol, TypeGuard

from greenpower.datatype.error import DeclarationError

DEVICE_ID = re.compile(r"[^\x00-\x20$\x7f][^\x00-\x1f\x7f]{0,63}")


def is_device_id(value: object) -> TypeGuard[str]:
    """Whether a value can name a device: 1 to 64 characters, no control character, no `$` or blank in front."""
    return isinstance(value, str) and DEVICE_ID.fullmatch(value) is not None and value.isprintable()


@dataclass(frozen=True, slots=True)
class Mqtt:
    """A claim on an MQTT topic; `+` and a last `#` match as in MQTT.

    device: the device id of frames that name none. device_level: the level of the topic, counted from 0, that is this
    id. noted: why the frames on this topic are no readings; they are kept as events with the outcome `noted` and never
    reach the parser.
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
            raise DeclarationError(f"topic {self.topic!r} is not an MQTT topic filter that can be claimed")
        if self.device is not None and not is_device_id(self.device):
            raise DeclarationError(f"topic {self.topic!r}: {self.device!r} cannot name a device")
        if self.device_level is not None:
            if self.device is not None:
                raise DeclarationError(f"topic {self.topic!r}: either device or device_level")
            if not 0 <= self.device_level < len(levels) - ("#" in levels):
                raise DeclarationError(f"topic {self.topic!r} has no level {self.device_level}")

    @property
    def is_exact(self) -> bool:
        """Whether the claim is one topic, not a pattern."""
        return "+" not in self.topic and "#" not in self.topic

    def matches(self, topic: str) -> bool:
        """Whether a topic falls under this claim."""
        return topics_overlap(self.topic, topic)

    def at(self, topic: str) -> Mqtt:
        """The claim as it is for one topic that it matches: `device` is filled in where a level of the topic is it."""
        if self.device_level is None:
            return self
        level = topic.split("/")[self.device_level]
        return replace(self, device_level=None, device=level if is_device_id(level) else None)


def topics_overlap(one: str, other: str) -> bool:
    """Whether some topic matches both filters (a plain topic is a filter too)."""
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
    """The sans-IO talk with one TCP gateway: bytes in, bytes and frames out. It never touches a socket or a clock.

    Whoever runs it calls `receive` with what came, `tick` when `deadline` is reached and `close` at the end, and after
    each of them writes what `take_output` gives and takes the frames and notes. Times are seconds of one monotonic
    clock. After a FrameError the connection is to be closed; frames and notes may still be taken.
    """

    @property
    def device_id(self) -> str | None:
        """The identity from the registration packet, None before it came."""

    @property
    def heard(self) -> float | None:
        """When the gateway last gave a sign of life: a registration packet, a heartbeat or an answer."""

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called, None where nothing is awaited."""

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes of the stream. Raises FrameError where the stream cannot go on."""

    def tick(self, now: float) -> None:
        """Let time pass; too early does no harm. Raises FrameError where the peer was silent for too long."""

    def close(self) -> None:
        """Note what was unfinished when the connection ended."""

    def take_output(self) -> bytes:
        """The bytes to write, once."""

    def take_frames(self) -> list[tuple[bytes, float]]:
        """The frames that were completed, each once: (payload, when its last byte came)."""

    def take_notes(self) -> list[tuple[str, str, bytes]]:
        """What was heard, or not heard, and is no reading, each once: (reason, detail, bytes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """A claim on TCP gateways by their registration packet, in which `#` stands for one digit: `SITE####`.

    dialogue: makes the talk with one connection, given this claim.
    """

    registration: str
    dialogue: Callable[[Tcp], Dialogue]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[!-~]{4,48}", self.registration) or not self.registration.strip("#"):
            raise DeclarationError(f"registration {self.registration!r}: 4 to 48 printable ASCII, not digits alone")

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """Matches a registration packet at the start of a stream."""
        parts = (b"[0-9]" if char == "#" else re.escape(char.encode()) for char in self.registration)
        return re.compile(b"".join(parts))

    def overlaps(self, other: Tcp) -> bool:
        """Whether some stream could start with both packets."""
        pairs = zip(self.registration, other.registration, strict=False)
        return all(a == b or (a == "#" and b.isdigit()) or (b == "#" and a.isdigit()) for a, b in pairs)
