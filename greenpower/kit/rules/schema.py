"""All that is derived from a declaration can be: its resource, its schema, an example that fits."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator

import marshmallow as ma
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from greenpower.api.telemetry.schema import make_schemas
from greenpower.catalog.facts import name_problems
from greenpower.datatype import DataType
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, short, shown


def check_schema(plugin: Plugin) -> Iterator[Problem]:
    """Every data type can be bound, and its answers described."""
    for datatype in plugin.datatypes:
        try:
            fault = _fault(datatype)
        except (ma.ValidationError, ValueError, TypeError) as error:
            fault = short(str(error))
        if fault:
            yield Problem(
                place=f"{shown(plugin.folder / '__init__.py')}: {datatype.name}",
                found=fault,
                expected="a schema with every field, and an example that it accepts",
                do="choose another endpoint or collection, or another name for the field",
            )


def _fault(datatype: DataType) -> str:
    for problem in name_problems(datatype):
        return problem
    schemas = make_schemas(datatype)
    marshmallow = MarshmallowPlugin()
    spec = APISpec("", "", "3.1.0", plugins=[marshmallow])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same schema by two names
        spec.components.schema("Page", schema=schemas.page)
    text = json.loads(json.dumps(spec.to_dict()))
    properties = text["components"]["schemas"][schemas.payload.__name__]["properties"]
    missing = [field.name for field in datatype.fields if not properties.get(field.name, {}).get("description")]
    schemas.page().load(schemas.example)
    return f"{', '.join(missing)} is not described" if missing else ""
