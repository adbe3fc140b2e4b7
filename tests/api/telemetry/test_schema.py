"""The schemas that are derived from a declaration."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenpower.api.telemetry.schema import make_schemas
from greenpower.catalog.registry import load_registry
from greenpower.datatype import DataType
from tests.api.conftest import PROBE


@pytest.mark.parametrize("datatype", tuple(load_registry(None)), ids=lambda datatype: datatype.name)
def test_schemas_follow_from_the_declaration(datatype: DataType) -> None:
    schemas = make_schemas(datatype)
    assert set(schemas.payload().fields) == {field.name for field in datatype.fields}
    assert list(schemas.reading().fields)[:5] == ["id", "topic", "device_id", "timestamp", "payload"]
    assert set(schemas.page().fields) == {"count", "next", "previous", "resolution", "results"}


def test_names_of_fields_that_python_or_marshmallow_use_do_no_harm() -> None:
    names = ("fields", "load", "dump", "opts", "class", "context", "validate", "1", "meta", "def")
    fields = tuple(replace(PROBE.fields[0], name=name) for name in names)
    schema = make_schemas(replace(PROBE, fields=fields)).payload()
    assert set(schema.fields) == set(names) and schema.dump({"load": 1.5, "1": 2}) == {"load": 1.5, "1": 2.0}
