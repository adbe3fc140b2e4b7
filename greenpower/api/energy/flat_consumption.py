"""`consumption/flat/`: energy by calendar buckets in the flat form, one bucket of a device per row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.energy.consumption import find_consumption
from greenpower.api.energy.consumption_schema import ConsumptionQuery
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.flat_form import (
    FLAT_DESCRIPTION,
    FLAT_RESPONSES,
    FlatQuery,
    FlatSeries,
    FlatValue,
    columns_field,
    flat_answer,
)
from greenpower.catalog.facts import counters
from greenpower.datatype import DataType
from greenpower.sql import RoleName

# Of a row, beside its energy.
OF_BUCKET = ("bucket", "samples", "coverage", "undecided", "final")
FLAT_CONSUMPTION_DESCRIPTION = f"""{FLAT_DESCRIPTION} The energies of `consumption/`, by bucket and device: the
timestamp is the start of the bucket, in local time with its offset. A bucket without samples has no value (null, in CSV
an empty cell): that is not 0. Sums over devices are left to the caller: energies add up exactly."""


class FlatConsumptionQuery(FlatQuery, ConsumptionQuery):
    """Energy of which devices, in which buckets. Each type adds `field`."""

    columns = columns_field(("unit", "bucket", "final", "samples", "coverage", "undecided", "estimated"))


def add_flat_consumption(blueprint: Blueprint, datatype: DataType) -> None:
    """Add the energy of a type that has counters, in the flat form."""
    names = counters(datatype)
    if not names:
        return
    units = {field.name: field.unit for field in datatype.fields}
    field = ma.fields.String(
        load_default=names[0], validate=ma.validate.OneOf(names), metadata=describe(f"counter; default {names[0]}")
    )

    @blueprint.route("/consumption/flat/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(
        summary=f"Energy by calendar buckets, one per row: {datatype.title}",
        description=FLAT_CONSUMPTION_DESCRIPTION,
        responses=FLAT_RESPONSES,
    )
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(type("FlatConsumptionQuery", (FlatConsumptionQuery,), {"field": field}))
    @blueprint.response(200, FlatSeries)
    def list_energies(query: dict[str, Any]) -> Response:
        name = query["field"]
        return flat_answer(query, _energies(find_consumption(datatype, query), name, units[name]))


def _energies(report: dict[str, Any], field: str, unit: str) -> Iterator[FlatValue]:
    """One row per bucket and device: ordered by bucket, then as the report orders devices."""
    devices = report["devices"]
    for number, bucket in enumerate(report["results"]):
        for device in devices:
            row = device["results"][number]
            yield {
                "timestamp": bucket["start"],
                "device_id": device["device_id"],
                "field": field,
                "value": row["energy"],
                "unit": unit,
                "estimated": row.get("estimated", False),
                **{name: row[name] for name in OF_BUCKET},
            }
