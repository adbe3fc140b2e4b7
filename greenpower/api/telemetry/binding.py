"""Binding: all that is derived from a data type, in one record. The one place where a declaration meets the system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenpower.api.http.blueprint import Blueprint
from greenpower.api.telemetry import events, resource
from greenpower.api.telemetry.schema import Schemas, make_schemas
from greenpower.catalog.registry import RegistryError
from greenpower.datatype import DataType
from greenpower.mongo.schema.layout import CORE, Index, reading_indexes
from greenpower.rollups.plan import plan_name

# What the core keeps for itself.
ENDPOINTS = frozenset({events.ENDPOINT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a data type became.

    collections: base and tiers. path: address of its resource, None where it has none; blueprint likewise. room: the
    Socket.IO room of its readings. indexes: those that its queries rely on. jobs: its rollups.
    """

    datatype: DataType
    collections: tuple[str, ...]
    path: str | None
    schemas: Schemas
    blueprint: Blueprint | None
    room: str
    indexes: tuple[Index, ...]
    jobs: tuple[str, ...]


def bind(datatype: DataType) -> Binding:
    """Derive everything from a declaration. Raises RegistryError where it claims what the core keeps for itself."""
    if datatype.endpoint in ENDPOINTS:
        raise RegistryError(f"{datatype.name!r} claims the endpoint {datatype.endpoint!r}, which is the system's own")
    if taken := CORE & {*datatype.collections}:
        raise RegistryError(f"{datatype.name!r} claims the collection {min(taken)!r}, which is the system's own")
    schemas = make_schemas(datatype)
    served = datatype.endpoint is not None
    return Binding(
        datatype=datatype,
        collections=datatype.collections,
        path=None if datatype.endpoint is None else resource.path(datatype.endpoint),
        schemas=schemas,
        blueprint=resource.make_blueprint(datatype, schemas) if served else None,
        room=f"type:{datatype.name}",
        indexes=reading_indexes(0),
        jobs=tuple(plan_name(datatype, tier) for tier in datatype.tiers),
    )


def bind_all(datatypes: Iterable[DataType]) -> tuple[Binding, ...]:
    """Bind all data types. Raises RegistryError with every problem."""
    bindings, problems = [], []
    for datatype in datatypes:
        try:
            bindings.append(bind(datatype))
        except RegistryError as error:
            problems.append(str(error))
    if problems:
        raise RegistryError("\n".join(problems))
    return tuple(bindings)
