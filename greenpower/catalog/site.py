"""The site file: what is specific to a site, as one TOML document with a schema.

What belongs here: the shape of the document, and reading it. What does not: applying its changes
(`greenpower.catalog.adaptation`).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from greenpower.datatype import UNITS, Kind
from greenpower.framing.modbus import READS
from greenpower.framing.poll import LAYOUTS


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


Unit = Annotated[str, _one_of(UNITS, "unit")]
Layout = Annotated[str, _one_of(LAYOUTS, "layout")]
Function = Annotated[int, _one_of(READS, "function")]


class _SiteModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def given(self) -> dict[str, Any]:
        """The values in the file, without defaults."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class SiteTopic(_SiteModel):
    """An MQTT topic of a data type."""

    topic: str = Field(description="MQTT topic filter; `+` and a final `#` are wildcards")
    device: str | None = Field(None, description="device id for frames that name none")
    device_level: int | None = Field(None, description="level of the topic, from 0, that is the device id")
    noted: str = Field("", description="why frames on this topic are stored as events only")


class SiteField(_SiteModel):
    """A field: changes to a declared field, or a new field (which needs a unit)."""

    unit: Unit | None = Field(None, description="unit of the value")
    title: str | None = Field(None, description="title, for people")
    kind: Kind | None = Field(None, description="gauge, counter, angle or state; decides the statistics")
    source: tuple[str, ...] | None = Field(None, description="keys that devices send for this field")
    low: float | None = Field(None, description="smallest plausible value")
    high: float | None = Field(None, description="greatest plausible value")
    modulus: float | None = Field(None, description="value at which a counter starts again at 0")
    greatest_rate: float | None = Field(None, description="largest plausible increase of a counter, units per hour")


class SitePoint(SiteField):
    """A field that devices send under a number."""

    name: str = Field(description="field that it is stored in")
    unit: Unit = Field(description="unit of the value")


class SiteBlock(_SiteModel):
    """Neighbouring registers that one Modbus request reads."""

    register_: int = Field(alias="register", description="number of the first register, from 1")
    layout: Layout = Field(description="layout of each value, big-endian")
    fields: tuple[str, ...] = Field(description='field of each value; "" to ignore one')
    divisor: int = Field(1, ge=1, description="registers are divided by this: 10 if they count tenths of the unit")
    unit: int = Field(1, description="Modbus unit id")
    function: Function = Field(3, description="Modbus function: 3 holding registers, 4 input registers")
    transaction: int | None = Field(None, description="transaction id of the request; assigned if not given")
    suffix: str = Field("", description="added to the gateway's id if the values belong to a separate device")

    @property
    def given(self) -> dict[str, Any]:
        """The values in the file, by the argument names of `Block`."""
        return {name.rstrip("_"): value for name, value in super().given.items()}


class SiteModbus(_SiteModel):
    """The Modbus requests to the meters behind a gateway."""

    blocks: tuple[SiteBlock, ...] = Field(min_length=1, description="requests, sent in turn")
    timeout: float | None = Field(None, gt=0, description="seconds to wait for an answer")
    greatest_pause: float | None = Field(None, gt=0, description="longest pause after missing answers, in seconds")
    silence: float | None = Field(None, gt=0, description="seconds without data after which a connection is closed")


class SiteType(_SiteModel):
    """The site's changes to one data type."""

    topics: tuple[SiteTopic, ...] | None = Field(None, min_length=1, description="replace the plugin's topics")
    gateways: tuple[str, ...] | None = Field(
        None, min_length=1, description="registration packets that replace the plugin's, `#` for a digit"
    )
    greatest_power: float | None = Field(
        None, gt=0, description="largest power in kW (kvar, kVA) that energy registers can show"
    )
    stale_after: int | None = Field(None, gt=0, description="seconds without data after which a device is offline")
    fields: dict[str, SiteField] = Field({}, description="fields by stored name")
    points: dict[str, SitePoint] = Field({}, description="fields by the number that devices send")
    modbus: SiteModbus | None = Field(None, description="replaces the plugin's requests")


class Site(_SiteModel):
    """A site file."""

    types: dict[str, SiteType] = Field({}, description="changes by name of the data type")


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
