"""The site file: what is specific to a site, as one TOML document with a schema.

What belongs here: the shape of the document, and reading it. What does not: applying its changes
(`greenpower.catalog.adaptation`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from greenpower.datatype import Electrical, Kind
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.framing.block import BIT, LAYOUTS, ORDERS
from greenpower.framing.modbus import READS
from greenpower.framing.poll import FRAMINGS


class SiteError(Exception):
    """A site file cannot be used. `problems` has one line per problem, with its place in the file."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _one_of(known: Any, what: str) -> AfterValidator:
    def check(value: Any) -> Any:
        if value not in known:
            raise ValueError(f"unknown {what} {value!r}; choose from {', '.join(map(str, known))}")
        return value

    return AfterValidator(check)


Layout = Annotated[str, _one_of((*LAYOUTS, BIT), "layout")]
Order = Annotated[str, _one_of(ORDERS, "order")]
Framing = Annotated[str, _one_of(FRAMINGS, "framing")]
Function = Annotated[int, _one_of(READS, "function")]


class _SiteModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def given(self) -> dict[str, Any]:
        """The values in the file, without defaults."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class SiteTopic(_SiteModel):
    """An MQTT topic of a data type."""

    topic: str = Field(description="MQTT topic filter; `+` and a final `#` are wildcards, `{name}` is a named level")
    device: str | None = Field(
        None, description="device id for frames that name none; named levels are filled in: `{device}-{channel}`"
    )
    device_level: int | None = Field(None, description="level of the topic, from 0, that is the device id")
    gather: float | None = Field(
        None, description="seconds in which values that come one by one are one reading; as in the plugin if not given"
    )
    noted: str = Field("", description="why frames on this topic are stored as events only")


class SitePush(_SiteModel):
    """A name under which frames of a data type are pushed over HTTP."""

    name: str = Field(description="last part of `/api/ingest/<name>/`")
    device: str | None = Field(None, description="device id for frames that name none")


class SiteMetered(_SiteModel):
    """Counters that stand for a meter point of each device."""

    fields: tuple[str, ...] = Field(min_length=1, description="their stored names; several are added up")
    role: PointRole = Field(PointRole.LOAD, description="the part that such a point mostly plays")
    carrier: Carrier = Field(Carrier.ELECTRICITY, description="what it measures")


class SiteField(_SiteModel):
    """A field: changes to a declared field, or a new field (which needs a unit)."""

    unit: str | None = Field(None, description="unit of the value, one of the known or of `units`")
    title: str | None = Field(None, description="title, for people")
    kind: Kind | None = Field(None, description=f"{', '.join(Kind)}; decides the statistics")
    source: tuple[str, ...] | None = Field(
        None, description="keys that devices send for this field; in nested JSON paths: `ENERGY.Total`"
    )
    sent_in: str | None = Field(None, description="unit in which devices send it, if it is another")
    scale: float | str | None = Field(None, description="what a value as sent is multiplied by before that")
    words: dict[str, float] | None = Field(None, description="numbers for texts and booleans that devices send")
    low: float | None = Field(None, description="smallest plausible value")
    high: float | None = Field(None, description="greatest plausible value")
    modulus: float | None = Field(None, description="value at which a counter starts again at 0")
    greatest_rate: float | None = Field(None, description="largest plausible increase of a counter, units per hour")
    codes: dict[int, str] | None = Field(None, description="names of an enumeration's values, by code or bit")
    bits: bool | None = Field(None, description="whether the codes of an enumeration are bits")
    measures: str | None = Field(
        None, description=f"electrical quantity, for checks of the wiring: {', '.join(Electrical)}"
    )
    phase: str | None = Field(None, description="phase that it is of: `a`, `b`, `c`; `ab` between two; `n` neutral")
    circuit: str | None = Field(None, description="circuit that it is of, in a device that measures several")


class SitePoint(SiteField):
    """A field that devices send under a number."""

    name: str = Field(description="field that it is stored in")
    unit: str = Field(description="unit of the value, one of the known or of `units`")


class SiteRegister(_SiteModel):
    """One value among the registers of a block."""

    field: str = Field(description="field that it is stored in")
    register_: int = Field(alias="register", description="number of its first register, from 1")
    layout: Layout = Field("uint16", description="layout of the value")
    factor: float = Field(1, description="value of a count of the register, in the field's unit: 0.1 for tenths")
    scale: int | None = Field(None, description="number of the register with the power of ten to multiply by")
    not_implemented: tuple[int, ...] = Field((), description="register contents that mean that there is no value")
    bit: int | None = Field(None, description="lowest bit of the value, counted from 0, if it is part of a register")
    bits: int = Field(1, ge=1, description="how many bits it has then")

    @property
    def given(self) -> dict[str, Any]:
        """The values in the file, by the argument names of `RegisterPoint`."""
        return {name.rstrip("_"): value for name, value in super().given.items()}


class SiteBlock(_SiteModel):
    """Neighbouring registers that one Modbus request reads."""

    register_: int = Field(alias="register", description="number of the first register, from 1")
    layout: Layout = Field("", description="layout of each value; `bit` for coils and discrete inputs")
    fields: tuple[str, ...] = Field((), description='field of each value; "" to ignore one')
    points: tuple[SiteRegister, ...] = Field((), description="values by their registers, instead of layout and fields")
    divisor: int = Field(1, ge=1, description="registers are divided by this: 10 if they count tenths of the unit")
    factor: float = Field(1, description="registers are multiplied by this, exactly: 0.1 if they count tenths")
    word_order: Order = Field("big", description="`little` if the low word of a value comes first")
    byte_order: Order = Field("big", description="`little` if the low byte of a register comes first")
    not_implemented: tuple[int, ...] = Field((), description="register contents that mean that there is no value")
    unit: int = Field(1, description="Modbus unit id")
    function: Function = Field(
        3, description="Modbus function: 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers"
    )
    transaction: int | None = Field(None, description="transaction id of the request; assigned if not given")
    suffix: str = Field("", description="added to the gateway's id if the values belong to a separate device")

    @property
    def given(self) -> dict[str, Any]:
        """The values in the file, by the argument names of `Block`; points are their own `given`."""
        found = {name.rstrip("_"): value for name, value in super().given.items()}
        return {**found, "points": [point.given for point in self.points]}


class SiteModbus(_SiteModel):
    """The Modbus requests to the meters behind a gateway, and when they are sent."""

    blocks: tuple[SiteBlock, ...] | None = Field(
        None, min_length=1, description="requests, sent in turn, that replace the plugin's"
    )
    timeout: float | None = Field(None, gt=0, description="seconds to wait for an answer")
    greatest_pause: float | None = Field(None, gt=0, description="longest pause after missing answers, in seconds")
    silence: float | None = Field(None, gt=0, description="seconds without data after which a connection is closed")
    framing: Framing | None = Field(None, description="what the gateway passes on: `tcp` or `rtu`")
    every: float | None = Field(
        None, gt=0, description="seconds from one round to the next, for gateways without heartbeats"
    )


class SiteGateway(_SiteModel):
    """Gateways with a heartbeat of their own."""

    registration: str = Field(description="registration packet")
    heartbeat: str = Field("", description="what they send from time to time; empty: the registration packet")


class SiteType(_SiteModel):
    """The site's changes to one data type."""

    topics: tuple[SiteTopic, ...] | None = Field(None, min_length=1, description="replace the plugin's topics")
    gateways: tuple[SiteGateway | str, ...] | None = Field(
        None,
        min_length=1,
        description="registration packets that replace the plugin's: `#` for a digit, `mac:` before text with `#` for "
        "hexadecimal digits, `hex:` before raw bytes with `##` for any",
    )
    http: tuple[SitePush, ...] | None = Field(
        None, min_length=1, description="names under which frames are pushed over HTTP; replace the plugin's"
    )
    greatest_power: float | None = Field(
        None, gt=0, description="largest power in kW (kvar, kVA) that energy registers can show"
    )
    stale_after: int | None = Field(None, gt=0, description="seconds without data after which a device is offline")
    metered: tuple[SiteMetered, ...] | None = Field(
        None, min_length=1, description="counters that meter points are proposed for; replace the plugin's"
    )
    fields: dict[str, SiteField] = Field({}, description="fields by stored name")
    points: dict[str, SitePoint] = Field({}, description="fields by the number that devices send")
    modbus: SiteModbus | None = Field(None, description="replaces the plugin's requests")


class SiteUnit(_SiteModel):
    """A unit that is not among the known ones."""

    quantity: str = Field(description="what it measures, for people")
    definition: str = Field("", description="it in terms of other units: `foot**3 / minute`; for conversions")
    energy_per_hour: float | None = Field(None, gt=0, description="of a unit of energy: how much 1 kW makes in an hour")


class SiteDevice(_SiteModel):
    """A Modbus device at a host that is dialled."""

    type: str = Field(description="name of its data type, which says what is asked")
    device: str = Field(description="device id")
    unit: int = Field(1, description="Modbus unit id")
    every: float | None = Field(None, gt=0, description="seconds from one round to the next, if not as of the host")


class SiteModbusHost(_SiteModel):
    """A host that is dialled for Modbus: a device, or a gateway with several behind it."""

    host: str = Field(min_length=1, description="name or address")
    port: int = Field(502, description="TCP port")
    framing: Framing = Field("tcp", description="`tcp` for Modbus TCP, `rtu` for Modbus RTU through TCP")
    every: float = Field(10, gt=0, description="seconds from one round of questions to the next")
    timeout: float = Field(3, gt=0, description="seconds to wait for an answer")
    silence: float = Field(60, gt=0, description="seconds without an answer after which it is dialled again")
    devices: tuple[SiteDevice, ...] = Field(min_length=1, description="the devices there, asked in turn")


class SiteTelegrams(_SiteModel):
    """A host that is dialled for telegrams, such as the P1 port of a meter behind a serial server."""

    host: str = Field(min_length=1, description="name or address")
    port: int = Field(description="TCP port")
    type: str = Field(description="name of the data type")
    device: str = Field("", description="device id, if not the one in the telegrams")
    silence: float = Field(60, gt=0, description="seconds without a telegram after which it is dialled again")


class Site(_SiteModel):
    """A site file."""

    plugins: tuple[str, ...] = Field(
        (), description="plugins in force, as in GREENPOWER_PLUGINS, which counts before it: `+meter`, `-station`"
    )
    units: dict[str, SiteUnit] = Field({}, description="units by symbol")
    types: dict[str, SiteType] = Field({}, description="changes by name of the data type")
    modbus: tuple[SiteModbusHost, ...] = Field((), description="hosts that are dialled for Modbus")
    telegrams: tuple[SiteTelegrams, ...] = Field((), description="hosts that are dialled for telegrams")

    @property
    def named(self) -> frozenset[str]:
        """The names of all data types in the file."""
        dialled = {device.type for host in self.modbus for device in host.devices}
        return frozenset({*self.types, *dialled, *(item.type for item in self.telegrams)})

    def without(self, off: Collection[str]) -> Site:
        """The file without what it says of these data types."""
        hosts = (
            host.model_copy(update={"devices": tuple(item for item in host.devices if item.type not in off)})
            for host in self.modbus
        )
        return self.model_copy(
            update={
                "types": {name: item for name, item in self.types.items() if name not in off},
                "modbus": tuple(host for host in hosts if host.devices),
                "telegrams": tuple(item for item in self.telegrams if item.type not in off),
            }
        )


def read_site(path: Path) -> Site:
    """Read a site file. Raises SiteError with every problem of its shape, each with its place in the file."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SiteError([f"cannot be read: {error.strerror}"]) from None
    except ValueError as error:  # not UTF-8, or not TOML; the text names the line
        raise SiteError([str(error)]) from None
    try:
        return Site.model_validate(document)
    except ValidationError as error:
        raise SiteError([f"{_place(item['loc'])}: {_text(item)}" for item in error.errors()]) from None


def _place(parts: tuple[int | str, ...]) -> str:
    return ".".join(map(str, parts))


def _text(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "is missing"
    return str(error["msg"]).removeprefix("Value error, ")
