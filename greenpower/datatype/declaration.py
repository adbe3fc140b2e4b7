"""The declaration of a data type. The core derives everything else from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from greenpower.datatype.claim import Mqtt, Tcp
from greenpower.datatype.command import NOTED, Command, SimulatedResponse
from greenpower.datatype.deprecated import renamed_arguments
from greenpower.datatype.error import DeclarationError
from greenpower.datatype.field import Field, normalise
from greenpower.datatype.frame import Frame, Reading
from greenpower.datatype.tier import STANDARD_TIERS, Tier, check_tiers
from greenpower.datatype.wire import Wire

Parser = Callable[[Frame], tuple[Reading, ...]]


@renamed_arguments(obedience="simulated_response")
@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """A type of device data: which frames it claims, how they are read, what they measure, how readings are stored.

    name: lower-case identifier; title: for people. collection: MongoDB base collection. endpoint: last part of
    `/api/telemetry/<endpoint>/`; None for no endpoint. match: claims on topics and gateways. fields: the declared
    values. parse: pure; returns readings or raises FrameError. tiers: rollup collections, finest first. stale_after:
    seconds without a message after which a device is offline. anchors: a frame with one of these fields, in which every
    number is 0, is a zero frame and is rejected. open: whether numbers under undeclared keys are kept. id_in_one_part:
    whether only one of several messages with the same stamp and topic has the device id. wire: how devices send a
    reading, the inverse of parse, for simulated devices; None derives it if parse reads flat JSON. commands: the
    commands to a device. simulated_response: how simulated devices answer commands; None if they do not. Raises
    DeclarationError.
    """

    name: str
    title: str
    collection: str
    match: tuple[Mqtt | Tcp, ...]
    fields: tuple[Field, ...]
    parse: Parser
    endpoint: str | None = None
    tiers: tuple[Tier, ...] = STANDARD_TIERS
    stale_after: int = 60
    anchors: tuple[str, ...] = ()
    open: bool = True
    id_in_one_part: bool = False
    wire: Wire | None = None
    commands: tuple[Command, ...] = ()
    simulated_response: SimulatedResponse | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", self.name):
            raise DeclarationError(
                f"data type {self.name!r}: the name must be of a-z, 0-9 and _ and start with a letter"
            )
        try:
            self._check()
        except DeclarationError as error:
            raise DeclarationError(f"data type {self.name!r}: {error}") from None

    def _check(self) -> None:
        if not self.title:
            raise DeclarationError("title is empty")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", self.collection):
            raise DeclarationError(f"collection {self.collection!r} must be of a-z, 0-9 and _ and start with a letter")
        if self.endpoint is not None and not re.fullmatch(r"[a-z][a-z0-9-]{0,60}", self.endpoint):
            raise DeclarationError(f"endpoint {self.endpoint!r} must be of a-z, 0-9 and - and start with a letter")
        if not self.match:
            raise DeclarationError("match is empty: no frame would reach this data type")
        if not callable(self.parse):
            raise DeclarationError(f"parse={self.parse!r} is not callable")
        if self.stale_after <= 0:
            raise DeclarationError(f"stale_after={self.stale_after} is not above 0 seconds")
        names = Counter(field.name for field in self.fields)
        if repeated := [name for name, count in names.items() if count > 1]:
            raise DeclarationError(f"duplicate field {', '.join(repeated)}")
        sources = Counter(key for field in self.fields for key in {normalise(source) for source in field.sources})
        if repeated := [key for key, count in sources.items() if count > 1]:
            raise DeclarationError(f"two fields claim the key {', '.join(repeated)}")
        if unknown := [name for name in self.anchors if name not in names]:
            raise DeclarationError(f"anchor {', '.join(unknown)} is not a field")
        given = Counter(command.name for command in self.commands)
        if repeated := [name for name, count in given.items() if count > 1]:
            raise DeclarationError(f"duplicate command {', '.join(repeated)}")
        check_tiers(self.tiers)

    @property
    def collections(self) -> tuple[str, ...]:
        """The base collection, and one collection per tier."""
        return (self.collection, *(tier.prefix + self.collection for tier in self.tiers))

    @property
    def topics(self) -> tuple[Mqtt, ...]:
        """The MQTT claims."""
        return tuple(claim for claim in self.match if isinstance(claim, Mqtt))

    @property
    def gateways(self) -> tuple[Tcp, ...]:
        """The TCP claims."""
        return tuple(claim for claim in self.match if isinstance(claim, Tcp))

    @property
    def answers(self) -> tuple[Mqtt, ...]:
        """The topics on which devices answer commands. Frames on them are no readings."""
        topics = dict.fromkeys(topic for command in self.commands for topic in command.answers)
        return tuple(Mqtt(topic, noted=NOTED) for topic in topics)

    def command(self, name: str) -> Command | None:
        """The command with a name; None if there is none."""
        return next((command for command in self.commands if command.name == name), None)
