"""The declaration of a data type. The core derives everything else from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from greenpower.datatype.claim import Http, Mqtt, Tcp
from greenpower.datatype.command import NOTED, Command, SimulatedResponse
from greenpower.datatype.deprecated import renamed_arguments
from greenpower.datatype.dialled import Dialled
from greenpower.datatype.error import DeclarationError
from greenpower.datatype.field import Field, normalise
from greenpower.datatype.frame import Frame, Reading
from greenpower.datatype.kind import Kind
from greenpower.datatype.metered import Metered, check_metered
from greenpower.datatype.tier import STANDARD_TIERS, Tier, check_tiers
from greenpower.datatype.wire import Wire

Parser = Callable[[Frame], tuple[Reading, ...]]


@renamed_arguments(obedience="simulated_response")
@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """A type of device data: which frames it claims, how they are read, what they measure, how readings are stored.

    name: lower-case identifier; title: for people. collection: MongoDB base collection. endpoint: last part of
    `/api/telemetry/<endpoint>/`; None for no endpoint. match: claims on frames. fields: the declared values. parse:
    pure; returns readings and `Noted`, or raises FrameError; if it has `for_fields(fields)`, what that gives is used.
    tiers: rollup collections, finest first. stale_after: seconds without a message after which a device is offline.
    anchors: a frame with one of these fields, in which every number is 0, is a zero frame and is rejected. open:
    whether numbers under undeclared keys are kept. id_in_one_part: whether only one of several messages with the same
    stamp and topic has the device id. sessions: whether births say what later frames of a device mean (`Noted(…,
    session=…)`, `frame.session`); its topics name the device. wire: how devices send a reading, the inverse of parse,
    for simulated devices; None derives it if parse reads flat JSON. commands: the commands to a device.
    simulated_response: how simulated devices answer commands; None if they do not. by_default: whether it is in force
    where neither GREENPOWER_PLUGINS nor the site file names it. metered: which counters stand for a meter point of a
    device each; none: the first counter, as a load. Raises DeclarationError.
    """

    name: str
    title: str
    collection: str
    match: tuple[Mqtt | Tcp | Dialled | Http, ...]
    fields: tuple[Field, ...]
    parse: Parser
    endpoint: str | None = None
    tiers: tuple[Tier, ...] = STANDARD_TIERS
    stale_after: int = 60
    anchors: tuple[str, ...] = ()
    open: bool = True
    id_in_one_part: bool = False
    sessions: bool = False
    wire: Wire | None = None
    commands: tuple[Command, ...] = ()
    simulated_response: SimulatedResponse | None = None
    by_default: bool = True
    metered: tuple[Metered, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", self.name):
            raise DeclarationError(
                f"data type {self.name!r}: the name must be of a-z, 0-9 and _ and start with a letter"
            )
        try:
            self._check()
        except DeclarationError as error:
            raise DeclarationError(f"data type {self.name!r}: {error}") from None
        if (for_fields := getattr(self.parse, "for_fields", None)) is not None:
            object.__setattr__(self, "parse", for_fields(self.fields))

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
        check_metered(self.metered, self.fields)
        check_tiers(self.tiers)
        self._check_gathering()
        if self.sessions and (nameless := [claim.topic for claim in self.topics if not claim.names_device]):
            raise DeclarationError(f"sessions are kept by device, and the topic {nameless[0]!r} names none")

    def _check_gathering(self) -> None:
        if not self.gathers:
            return
        if self.id_in_one_part:
            raise DeclarationError("gather is for messages that all name their device; drop id_in_one_part")
        if deltas := [field.name for field in self.fields if field.kind is Kind.DELTA]:
            raise DeclarationError(
                f"{', '.join(deltas)}: a {Kind.DELTA} cannot be gathered: twice the same use would count once"
            )

    @property
    def collections(self) -> tuple[str, ...]:
        """The base collection, and one collection per tier."""
        return (self.collection, *(tier.prefix + self.collection for tier in self.tiers))

    @property
    def topics(self) -> tuple[Mqtt, ...]:
        """The MQTT claims."""
        return tuple(claim for claim in self.match if isinstance(claim, Mqtt))

    @property
    def gather_seconds(self) -> float:
        """Within how many seconds values that come one by one are one reading; 0 where none do."""
        return max((claim.gather for claim in self.topics if claim.gather is not None), default=0.0)

    @property
    def gathers(self) -> bool:
        """Whether devices send the values of a reading one by one."""
        return self.gather_seconds > 0

    @property
    def gateways(self) -> tuple[Tcp, ...]:
        """The TCP claims."""
        return tuple(claim for claim in self.match if isinstance(claim, Tcp))

    @property
    def dialled(self) -> tuple[Dialled, ...]:
        """The devices that we connect to."""
        return tuple(claim for claim in self.match if isinstance(claim, Dialled) and claim.host)

    @property
    def pushes(self) -> tuple[Http, ...]:
        """The claims on frames that are pushed over HTTP."""
        return tuple(claim for claim in self.match if isinstance(claim, Http))

    @property
    def answers(self) -> tuple[Mqtt, ...]:
        """The topics on which devices answer commands. Frames on them are no readings."""
        topics = dict.fromkeys(topic for command in self.commands for topic in command.answers)
        return tuple(Mqtt(topic, noted=NOTED) for topic in topics)

    def command(self, name: str) -> Command | None:
        """The command with a name; None if there is none."""
        return next((command for command in self.commands if command.name == name), None)
