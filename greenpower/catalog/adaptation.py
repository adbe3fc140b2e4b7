"""Data types of a site: the plugins' declarations with the changes of the site file.

What belongs here: how each part of a site file changes a declaration, and contradictions between them. What does not:
the file's shape (`greenpower.catalog.site`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from greenpower.catalog.conversion import with_conversions
from greenpower.catalog.dialled import with_dialled
from greenpower.catalog.site import Site, SiteError, SiteField, SiteType
from greenpower.datatype import UNITS, DataType, DeclarationError, Dialled, Field, Http, Kind, Mqtt, Tcp, UnitOfMeasure
from greenpower.datatype.electrical import check_electrical
from greenpower.datatype.field import ROLLING_KINDS
from greenpower.datatype.metered import Metered, check_metered
from greenpower.datatype.unit import energy_per_hour, unit_of
from greenpower.framing.poll import Block, ModbusPoll, RegisterPoint


def apply_site(datatypes: Iterable[DataType], site: Site) -> tuple[DataType, ...]:
    """The data types with the changes of the site file, in the same order. Raises SiteError with every problem."""
    datatypes = tuple(datatypes)
    problems = [
        f"types.{name}: unknown data type; choose from {', '.join(datatype.name for datatype in datatypes)}"
        for name in site.types.keys() - {datatype.name for datatype in datatypes}
    ]
    units = _units(site, problems)
    adapted = tuple(
        _Adaptation(datatype, site.types[datatype.name], units, problems).result()
        if datatype.name in site.types
        else datatype
        for datatype in datatypes
    )
    adapted = with_dialled(adapted, site, problems)
    if problems:
        raise SiteError(sorted(problems))
    return adapted


class _Place:
    """A context in which a DeclarationError becomes a problem of this place; the code after it continues."""

    def __init__(self, adaptation: _Adaptation, parts: tuple[object, ...]) -> None:
        self.adaptation = adaptation
        self.parts = parts

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, DeclarationError):
            return False
        self.adaptation.problem(*self.parts, text=str(error))
        return True


class _Adaptation:
    """One data type and its changes. Every problem is added to a list, with its place in the file."""

    def __init__(
        self, datatype: DataType, given: SiteType, units: Mapping[str, UnitOfMeasure], problems: list[str]
    ) -> None:
        self.datatype = datatype
        self.given = given
        # The symbol of a plugin's own unit means that unit.
        self.units = {**UNITS, **{str(field.unit): unit_of(field.unit) for field in datatype.fields}, **units}
        self.problems = problems

    def result(self) -> DataType:
        """The changed data type; unchanged if there are problems."""
        known = len(self.problems)
        fields = self._fields()
        poll = self._poll(fields)
        changes: dict[str, Any] = {"match": (*self._topics(), *self._gateways(poll), *self._dialled(), *self._pushes())}
        if poll is not None:
            changes["parse"] = poll
            fields = {name: field for name, field in fields.items() if name in poll.fields}
        changes["fields"] = tuple(fields.values())
        changes["metered"] = self._metered(fields)
        if self.given.stale_after is not None:
            changes["stale_after"] = self.given.stale_after
        if len(self.problems) > known:
            return self.datatype
        with self._place():
            return with_conversions(replace(self.datatype, **changes))
        return self.datatype

    def _metered(self, fields: Mapping[str, Field]) -> tuple[Metered, ...]:
        """The site's; else those of the plugin whose counters are left."""
        if self.given.metered is not None:
            found = tuple(
                Metered(fields=item.fields, role=item.role, carrier=item.carrier) for item in self.given.metered
            )
            with self._place("metered"):
                check_metered(found, fields.values())
                return found
            return ()
        counters = {field.name for field in fields.values() if field.kind.has_energy}
        return tuple(item for item in self.datatype.metered if counters.issuperset(item.fields))

    def _place(self, *parts: object) -> _Place:
        return _Place(self, parts)

    def problem(self, *parts: object, text: str) -> None:
        self.problems.append(f"{'.'.join(['types', self.datatype.name, *map(str, parts)])}: {text}")

    def _topics(self) -> tuple[Mqtt, ...]:
        given = self.given.topics
        if given is None:
            return self.datatype.topics
        before = self.datatype.topics
        if not before:
            self.problem("topics", text="this data type does not use MQTT")
        readings = [claim for claim in before if not claim.noted]
        nameless = any(claim.names_device for claim in before)
        levels = {*readings[0].level_names}.intersection(*(claim.level_names for claim in readings)) if readings else ()
        gather = next((claim.gather for claim in readings if claim.gather is not None), None)
        claims = []
        for number, topic in enumerate(given):
            with self._place("topics", number):
                claim = Mqtt(**topic.model_dump())
                if claim.noted:
                    claims.append(claim)
                    continue
                claims.append(claim if claim.gather is not None else replace(claim, gather=gather))
                if nameless and not claim.names_device:
                    text = "device or device_level is missing; these frames have no device id"
                    self.problem("topics", number, text=text)
                for name in sorted({*levels} - {"device", *claim.level_names}):
                    self.problem("topics", number, text=f"no level is named {{{name}}}, which the plugin reads")
        if not any(claim.noted for claim in claims):
            claims += [claim for claim in before if claim.noted]
        return tuple(claims)

    def _gateways(self, poll: ModbusPoll | None) -> tuple[Tcp, ...]:
        claims = self.datatype.gateways
        if poll is not None:
            claims = tuple(replace(claim, dialogue=poll.dialogue) for claim in claims)
        if self.given.gateways is None:
            return claims
        if not claims:
            self.problem("gateways", text="this data type does not use TCP gateways")
            return ()
        found = []
        for number, gateway in enumerate(self.given.gateways):
            with self._place("gateways", number):
                changes = {"registration": gateway} if isinstance(gateway, str) else gateway.model_dump()
                found.append(replace(claims[0], **changes))
        return tuple(found)

    def _dialled(self) -> tuple[Dialled, ...]:
        return tuple(claim for claim in self.datatype.match if isinstance(claim, Dialled))

    def _pushes(self) -> tuple[Http, ...]:
        if self.given.http is None:
            return self.datatype.pushes
        if self.datatype.gateways and not self.datatype.topics:
            self.problem("http", text="the frames of this data type are answers of a gateway")
        claims = []
        for number, push in enumerate(self.given.http):
            with self._place("http", number):
                claims.append(Http(**push.model_dump()))
        return tuple(claims)

    def _fields(self) -> dict[str, Field]:
        fields = {field.name: field for field in self.datatype.fields}
        if (power := self.given.greatest_power) is not None:
            for field in [field for field in fields.values() if field.kind.has_energy]:
                if (per_hour := energy_per_hour(field.unit)) is not None:
                    fields[field.name] = replace(field, greatest_rate=power * per_hour)
        for name, changes in self.given.fields.items():
            with self._place("fields", name):
                given = self._with_unit(changes, "fields", name)
                if name in fields:
                    fields[name] = _changed_field(fields[name], given)
                elif changes.unit is None:
                    self.problem("fields", name, text="unit is missing, which a new field needs")
                else:
                    fields[name] = Field(name, **given)
        for key, point in self.given.points.items():
            with self._place("points", key):
                given = self._with_unit(point, "points", key)
                changed = {name: value for name, value in given.items() if name != "name"}
                if point.name in fields:
                    self.problem("points", key, text=f"the field {point.name!r} already exists")
                else:
                    fields[point.name] = Field(point.name, **{**changed, "source": (key, *(point.source or ()))})
        return fields

    def _with_unit(self, changes: SiteField, *parts: object) -> dict[str, Any]:
        """The values in the file, with a unit that is known; one that is not becomes a problem, and `1`."""
        given = changes.given
        if (unit := given.get("unit")) is not None and unit not in self.units:
            self.problem(*parts, "unit", text=f"unknown unit {unit!r}; choose from {', '.join(self.units)}")
            return {**given, "unit": "1"}
        return given if unit is None else {**given, "unit": self.units[unit]}

    def _poll(self, fields: dict[str, Field]) -> ModbusPoll | None:
        given = self.given.modbus
        if given is None:
            return None
        before = self.datatype.parse
        if not isinstance(before, ModbusPoll):
            self.problem("modbus", text="this data type does not use Modbus")
            return None
        blocks = list(before.blocks if given.blocks is None else ())
        for number, block in enumerate(given.blocks or ()):
            with self._place("modbus", "blocks", number):
                points = tuple(RegisterPoint(**point) for point in block.given["points"])
                blocks.append(Block(**{**block.given, "points": points}))
                blocks[-1].request(1)
            for name in filter(None, (*block.fields, *(point.field for point in block.points))):
                if name not in fields:
                    text = f"unknown field {name!r}: declare it in types.{self.datatype.name}.fields"
                    self.problem("modbus", "blocks", number, "fields", text=text)
        if len(blocks) < len(given.blocks or ()):
            return None
        with self._place("modbus"):
            names = (*ModbusPoll.TIMES, "framing", "every")
            return ModbusPoll(*blocks, **{name: getattr(given, name) or getattr(before, name) for name in names})
        return None


def _units(site: Site, problems: list[str]) -> dict[str, UnitOfMeasure]:
    """The units of a site file."""
    found = {}
    for symbol, unit in site.units.items():
        try:
            found[symbol] = UnitOfMeasure(symbol, **unit.given)
        except DeclarationError as error:
            problems.append(f"units.{symbol}: {error}")
    return found


def _changed_field(field: Field, given: Mapping[str, Any]) -> Field:
    """A declared field with the site's changes. One that becomes another kind loses the limits that kind has not,
    unless the site gives them: of a net register that is a range without a negative half. One that does not measure the
    declared quantity any more, by its unit or kind, measures none that is known. Raises DeclarationError."""
    kind = given.get("kind", field.kind)
    fitting: dict[str, Any] = {}
    if kind is not field.kind:
        if kind not in ROLLING_KINDS:
            fitting["modulus"] = None
        if not kind.has_energy:
            fitting["greatest_rate"] = None
        if kind is Kind.NET and field.low == 0:
            fitting["low"] = None if field.high is None else -field.high
    if field.measures and "measures" not in given:
        try:
            check_electrical(field.measures, field.phase, field.circuit, given.get("unit", field.unit), kind)
        except DeclarationError:  # it is another quantity now
            fitting |= {"measures": "", "phase": "", "circuit": ""}
    return replace(field, **{**fitting, **given})
