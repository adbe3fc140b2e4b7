"""Data types of a site: the plugins' declarations with the changes of the site file.

What belongs here: how each part of a site file changes a declaration, and contradictions between them. What does not:
the file's shape (`greenpower.catalog.site`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from greenpower.catalog.site import Site, SiteError, SiteType
from greenpower.datatype import DataType, DeclarationError, Field, Kind, Mqtt, Tcp
from greenpower.framing.poll import Block, ModbusPoll

#: energy units, and the energy in them from 1 kW (kvar, kVA) over one hour
ENERGY_PER_KILOWATT_HOUR = {"kWh": 1, "kvarh": 1, "kVAh": 1, "Wh": 1000}


def apply_site(datatypes: Iterable[DataType], site: Site) -> tuple[DataType, ...]:
    """The data types with the changes of the site file, in the same order. Raises SiteError with every problem."""
    datatypes = tuple(datatypes)
    problems = [
        f"types.{name}: unknown data type; choose from {', '.join(datatype.name for datatype in datatypes)}"
        for name in site.types.keys() - {datatype.name for datatype in datatypes}
    ]
    adapted = tuple(
        _Adaptation(datatype, site.types[datatype.name], problems).result() if datatype.name in site.types else datatype
        for datatype in datatypes
    )
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

    def __init__(self, datatype: DataType, given: SiteType, problems: list[str]) -> None:
        self.datatype = datatype
        self.given = given
        self.problems = problems

    def result(self) -> DataType:
        """The changed data type; unchanged if there are problems."""
        known = len(self.problems)
        fields = self._fields()
        poll = self._poll(fields)
        changes: dict[str, Any] = {"match": (*self._topics(), *self._gateways(poll))}
        if poll is not None:
            changes["parse"] = poll
            fields = {name: field for name, field in fields.items() if name in poll.fields}
        changes["fields"] = tuple(fields.values())
        if self.given.stale_after is not None:
            changes["stale_after"] = self.given.stale_after
        if len(self.problems) > known:
            return self.datatype
        with self._place():
            return replace(self.datatype, **changes)
        return self.datatype

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
        nameless = any(claim.device or claim.device_level is not None for claim in before)
        claims = []
        for number, topic in enumerate(given):
            with self._place("topics", number):
                claims.append(Mqtt(**topic.model_dump()))
            if nameless and not topic.noted and topic.device is None and topic.device_level is None:
                self.problem("topics", number, text="device or device_level is missing; these frames have no device id")
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
        for number, registration in enumerate(self.given.gateways):
            with self._place("gateways", number):
                found.append(replace(claims[0], registration=registration))
        return tuple(found)

    def _fields(self) -> dict[str, Field]:
        fields = {field.name: field for field in self.datatype.fields}
        if (power := self.given.greatest_power) is not None:
            bounded = [
                field
                for field in fields.values()
                if field.kind is Kind.COUNTER and field.unit in ENERGY_PER_KILOWATT_HOUR
            ]
            for field in bounded:
                fields[field.name] = replace(field, greatest_rate=power * ENERGY_PER_KILOWATT_HOUR[field.unit])
        for name, changes in self.given.fields.items():
            with self._place("fields", name):
                if name in fields:
                    fields[name] = replace(fields[name], **changes.given)
                elif changes.unit is None:
                    self.problem("fields", name, text="unit is missing, which a new field needs")
                else:
                    fields[name] = Field(name, **changes.given)
        for key, point in self.given.points.items():
            with self._place("points", key):
                changed = {name: value for name, value in point.given.items() if name != "name"}
                if point.name in fields:
                    self.problem("points", key, text=f"the field {point.name!r} already exists")
                else:
                    fields[point.name] = Field(point.name, **{**changed, "source": (key, *(point.source or ()))})
        return fields

    def _poll(self, fields: dict[str, Field]) -> ModbusPoll | None:
        given = self.given.modbus
        if given is None:
            return None
        before = self.datatype.parse
        if not isinstance(before, ModbusPoll):
            self.problem("modbus", text="this data type does not use Modbus")
            return None
        blocks = []
        for number, block in enumerate(given.blocks):
            with self._place("modbus", "blocks", number):
                blocks.append(Block(**block.given))
                blocks[-1].request(1)
            for name in filter(None, block.fields):
                if name not in fields:
                    text = f"unknown field {name!r}: declare it in types.{self.datatype.name}.fields"
                    self.problem("modbus", "blocks", number, "fields", text=text)
        if len(blocks) < len(given.blocks):
            return None
        with self._place("modbus"):
            times = {name: getattr(given, name) or getattr(before, name) for name in ModbusPoll.TIMES}
            return ModbusPoll(*blocks, **times)
        return None
