"""Corrections of energy that people make, a fixed energy or an estimate: what a request says, whether it is possible.

What does not belong here: the resource (`device_corrections`), what such a correction does
(`greenpower.measure.adjustment`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.catalog.facts import counters
from greenpower.datatype import DataType
from greenpower.measure.adjustment.estimate import EstimateMethod
from greenpower.measure.counter.rules import LARGEST_ENERGY
from greenpower.measure.slot import QUARTER_SECONDS, to_counts
from greenpower.mongo.adjustments.evaluate import LONGEST_SPAN
from greenpower.mongo.corrections.document import CorrectionKind

#: What people make of these kinds.
MADE_OF_ENERGY = (CorrectionKind.FIXED, CorrectionKind.ESTIMATE)


class EnergyCorrectionFields(ma.Schema):
    """What a request for a correction of energy has beside those that all have."""

    energy = ma.fields.Float(
        load_default=None,
        allow_none=True,
        metadata=describe(
            "`fixed`: energy of the span, in the field's unit; `estimate`, `evenly`: of a silence that goes on",
            example=120.5,
        ),
    )
    method = ma.fields.String(
        load_default=None,
        allow_none=True,
        validate=ma.validate.OneOf([method.value for method in EstimateMethod]),
        metadata=describe(
            "`estimate`: spread the energy of silences `evenly`, or as on the same `weekdays` of the four weeks before",
            example="weekdays",
        ),
    )


def check_energy_correction(datatype: DataType, body: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with a request, by its keys; nothing if it is possible.

    body: `field`, `kind` (fixed or estimate), `begin`, `end` (aware or None), `energy` (in the field's unit) and
    `method`, both None where not given.
    """
    errors: dict[str, list[str]] = {}
    names = counters(datatype)
    if body["field"] not in names:
        known = f"Those with energy are {', '.join(names)}." if names else "It has none."
        errors["field"] = [f"{body['field']!r} of {datatype.name} counts no energy. {known}"]
    errors |= _check_span(body["begin"], body.get("end"))
    energy, method, fixed = body.get("energy"), body.get("method"), body["kind"] == CorrectionKind.FIXED
    if energy is not None and not (math.isfinite(energy) and abs(energy) <= LARGEST_ENERGY):
        errors["energy"] = [f"The energy must be a finite number of at most {LARGEST_ENERGY:g}."]
    elif fixed and energy is None:
        errors["energy"] = ["Give the energy of the span."]
    elif not fixed and energy is not None and method != EstimateMethod.EVENLY:
        errors["energy"] = ["Only an estimate that is spread evenly takes an energy."]
    if fixed and method is not None:
        errors["method"] = ["Only an estimate has a method."]
    elif not fixed and method is None:
        errors["method"] = ["Say how the energy is spread: `evenly` or `weekdays`."]
    return errors


def energy_counts(energy: float | None) -> int | None:
    """The energy of a request in counts."""
    return None if energy is None else to_counts(energy)


def _check_span(begin: datetime, end: datetime | None) -> dict[str, list[str]]:
    errors = {}
    for name, time in (("begin", begin), ("end", end)):
        if time is not None and time.timestamp() % QUARTER_SECONDS:
            errors[name] = ["Give a quarter-hour: minutes 00, 15, 30 or 45."]
    if end is None:
        errors["end"] = ["A correction of energy has an end."]
    elif end <= begin:
        errors["end"] = ["The end must be after the begin."]
    elif end - begin > LONGEST_SPAN:
        errors["end"] = [f"The span must be at most {LONGEST_SPAN.days} days."]
    return errors
