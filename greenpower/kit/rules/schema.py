"""Rule for the schema: the resource, the schema and a valid example follow from the declaration."""

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
    """Every data type can be served, and the schema describes every field."""
    for datatype in plugin.datatypes:
        try:
            problem = _schema_problem(datatype)
        except (ma.ValidationError, ValueError, TypeError) as error:
            problem = short(str(error))
        if problem:
            yield Problem(
                place=f"{shown(plugin.folder / '__init__.py')}: {datatype.name}",
                found=problem,
                expected="a schema with every field, and an example that is valid in it",
                fix="choose another endpoint, collection or field name",
            )


def _schema_problem(datatype: DataType) -> str:
    """What is wrong with the names or the schema of a data type; empty if nothing is."""
    for reserved in name_problems(datatype):
        return reserved
    schemas = make_schemas(datatype)
    marshmallow = MarshmallowPlugin()
    spec = APISpec("", "", "3.1.0", plugins=[marshmallow])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one schema has two names
        spec.components.schema("Page", schema=schemas.page)
    text = json.loads(json.dumps(spec.to_dict()))
    properties = text["components"]["schemas"][schemas.payload.__name__]["properties"]
    missing = [field.name for field in datatype.fields if not properties.get(field.name, {}).get("description")]
    schemas.page().load(schemas.example)
    return f"no description of {', '.join(missing)}" if missing else ""
