"""`/api/telemetry/<endpoint>/`: the resource derived from a data type.

What belongs here: the factory. Each view of a type's data is a module of its own; its `add_…` takes the blueprint and
the data type.
"""

from __future__ import annotations

from greenpower.api.energy.consumption import add_consumption
from greenpower.api.energy.flat_consumption import add_flat_consumption
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.telemetry.changes import add_changes
from greenpower.api.telemetry.export import add_export
from greenpower.api.telemetry.flat_latest import add_flat_latest
from greenpower.api.telemetry.flat_list import add_flat_list
from greenpower.api.telemetry.latest import add_latest
from greenpower.api.telemetry.readings import add_list
from greenpower.api.telemetry.schema import make_schemas
from greenpower.catalog.facts import resource_path
from greenpower.datatype import DataType


def make_blueprint(datatype: DataType) -> Blueprint:
    """The resource of a data type that has an endpoint."""
    path = resource_path(datatype)
    assert path is not None
    schemas = make_schemas(datatype)
    blueprint = Blueprint(
        f"telemetry-{datatype.endpoint}",
        __name__,
        url_prefix=path.rstrip("/"),
        description=datatype.title,
    )
    blueprint.operation_suffix = f"_{datatype.name}"
    add_list(blueprint, datatype, schemas)
    add_latest(blueprint, datatype, schemas)
    add_consumption(blueprint, datatype)
    add_export(blueprint, datatype)
    add_changes(blueprint, datatype, schemas)
    add_flat_list(blueprint, datatype)
    add_flat_latest(blueprint, datatype)
    add_flat_consumption(blueprint, datatype)
    return blueprint
