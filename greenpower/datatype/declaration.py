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
    """A kind of device message: what it claims, how it is read, what it measures, how it is kept.

    name: lower-case identifier; title: for people. collection: MongoDB base collection. endpoint: last part of
    `/api/telemetry/<endpoint>/`; None serves none. match: claims on topics and gateways. fields: the declared values.
    parse: pure and total, readings or FrameError. tiers: rollup collections, finest first. stale_after: seconds without
    a sign of life after which a device is offline. anchors: a frame that carries one of these fields and in which every
    number is 0 is a zero frame, rejected. open: whether undeclared numeric keys are kept. id_in_one_part: whether of
    several messages with one stamp on a topic only one names the device. wire: how devices send a reading, the inverse
    of parse, for simulated ones; None derives it where parse reads flat JSON. commands: what can be said to a device.
    simulated_response: how simulated devices take them; None: they do not listen.
    Raises DeclarationError.
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
            raise DeclarationError(f"data type {self.name!r}: a name is a-z, 0-9 and _, starting with a letter")
        try:
            self._check()
        except DeclarationError as error:
            raise DeclarationError(f"data type {self.name!r}: {error}") from None

    def _check(self) -> None:
        if not self.title:
            raise DeclarationError("title is empty")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", self.collection):
            raise DeclarationError(f"collection {self.collection!r} is not of a-z, 0-9 and _")
        if self.endpoint is not None and not re.fullmatch(r"[a-z][a-z0-9-]{0,60}", self.endpoint):
            raise DeclarationError(f"endpoint {self.endpoint!r} is not of a-z, 0-9 and -")
        if not self.match:
            raise DeclarationError("match is empty: nothing would ever reach it")
        if not callable(self.parse):
            raise DeclarationError("parse is not callable")
        if self.stale_after <= 0:
            raise DeclarationError("stale_after must be above 0 seconds")
        names = Counter(field.name for field in self.fields)
        if twice := [name for name, count in names.items() if count > 1]:
            raise DeclarationError(f"duplicate field {', '.join(twice)}")
        sources = Counter(key for field in self.fields for key in {normalise(source) for source in field.sources})
        if twice := [key for key, count in sources.items() if count > 1]:
            raise DeclarationError(f"two fields claim the key {', '.join(twice)}")
        if unknown := [name for name in self.anchors if name not in names]:
            raise DeclarationError(f"anchor {', '.join(unknown)} is not a field")
        given = Counter(command.name for command in self.commands)
        if twice := [name for name, count in given.items() if count > 1]:
            raise DeclarationError(f"duplicate command {', '.join(twice)}")
        check_tiers(self.tiers)

    @property
    def collections(self) -> tuple[str, ...]:
        """The base collection and one a tier."""
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
        """The topics on which devices answer commands; frames there are no readings."""
        topics = dict.fromkeys(topic for command in self.commands for topic in command.answers)
        return tuple(Mqtt(topic, noted=NOTED) for topic in topics)

    def command(self, name: str) -> Command | None:
        """The command of a name, if there is one."""
        return next((command for command in self.commands if command.name == name), None)
