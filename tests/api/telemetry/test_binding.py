"""Binding: what is derived from a declaration."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from greenpower.api.telemetry.binding import bind, bind_all
from greenpower.catalog.registry import RegistryError, load_registry
from greenpower.datatype import STANDARD_TIERS, DataType
from tests.api.conftest import PROBE, SILENT

SHIPPED = tuple(load_registry(None))


@pytest.mark.parametrize("datatype", SHIPPED, ids=lambda datatype: datatype.name)
def test_everything_is_derived_from_the_declaration(datatype: DataType) -> None:
    binding = bind(datatype)
    assert binding.datatype is datatype and binding.collections == datatype.collections
    assert binding.room == f"type:{datatype.name}"
    assert binding.jobs == tuple(f"{datatype.name}/{tier.prefix}" for tier in datatype.tiers)
    assert set(binding.schemas.payload().fields) == {field.name for field in datatype.fields}
    assert list(binding.schemas.reading().fields)[:5] == ["id", "topic", "device_id", "timestamp", "payload"]
    assert set(binding.schemas.page().fields) == {"count", "next", "previous", "resolution", "results"}
    assert (("device_id", "timestamp"), True) in [(index.keys, index.unique) for index in binding.indexes]
    assert ("timestamp",) in [index.keys for index in binding.indexes]
    if datatype.endpoint is None:
        assert binding.path is None and binding.blueprint is None
    else:
        assert binding.path == f"/api/telemetry/{datatype.endpoint}/" and binding.blueprint is not None


def test_the_shipped_types_have_the_documented_addresses() -> None:
    paths = {binding.path for binding in bind_all(SHIPPED)}
    assert {f"/api/telemetry/{name}-data/" for name in ("rt", "eny-now", "environment", "solar", "generator")} <= paths


def test_a_binding_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        bind(PROBE).room = "other"  # type: ignore[misc]


def test_a_type_without_an_endpoint_is_bound_all_the_same() -> None:
    binding = bind(SILENT)
    assert (binding.path, binding.blueprint, binding.collections) == (None, None, ("silent_data",))


def test_names_of_fields_that_python_or_marshmallow_use_do_no_harm() -> None:
    names = ("fields", "load", "dump", "opts", "class", "context", "validate", "1", "meta", "def")
    fields = tuple(replace(PROBE.fields[0], name=name) for name in names)
    schema = bind(replace(PROBE, fields=fields)).schemas.payload()
    assert set(schema.fields) == set(names) and schema.dump({"load": 1.5, "1": 2}) == {"load": 1.5, "1": 2.0}


def test_what_the_system_keeps_for_itself_is_refused() -> None:
    with pytest.raises(RegistryError, match="claims the endpoint 'events', which is the system's own"):
        bind(replace(PROBE, endpoint="events"))
    with pytest.raises(RegistryError, match="claims the collection 'telemetry_events'"):
        bind(replace(PROBE, collection="telemetry_events"))
    with pytest.raises(RegistryError, match=r"(?s)'probe'.*\n.*'silent'"):
        bind_all([replace(PROBE, endpoint="events"), replace(SILENT, collection="device_clocks", tiers=STANDARD_TIERS)])
