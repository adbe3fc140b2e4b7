"""What a correction of a device is held against before it is kept.

What belongs here: which corrections are refused, and with which answer. What does not: the routes
(`device_corrections`), what is wrong with a correction of energy (`energy_corrections`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import abort

from greenpower.api.energy.energy_corrections import MADE_OF_ENERGY, check_energy_correction
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.check import sample_problems
from greenpower.mongo.corrections.document import CorrectionKind


def check_single(correction: Document) -> None:
    """Abort with 409 for one that was made in a step with others, and goes with them."""
    if correction.get("group") is not None:
        abort(409, "It belongs to a meter exchange: change or withdraw that.")


def check_body(body: Mapping[str, Any], begin: datetime, end: datetime | None) -> DataType:
    """The data type. Aborts with 422 for a correction that is impossible."""
    errors: dict[str, list[str]] = {}
    registry = get_context().registry
    datatype = registry.get(body["type"])
    if datatype is None:
        known = ", ".join(item.name for item in registry)
        abort_body({"type": [f"There is no data type {body['type']!r}. Data types are {known}."]})
    if body["kind"] in MADE_OF_ENERGY:
        errors = check_energy_correction(datatype, {**body, "begin": begin, "end": end})
    else:
        errors = {
            name: ["Only a correction of energy has one."] for name in ("energy", "method") if body[name] is not None
        }
    kind = CorrectionKind(body["kind"])
    errors = {**sample_problems(datatype, body["field"], kind, begin, end, body["factor"]), **errors}
    if errors:
        abort_body(errors)
    return datatype


def check_kept(datatype: DataType | None, begin: datetime) -> None:
    """Abort with 409 where what was made of readings from a time on cannot be computed again."""
    if datatype is None:
        return
    whole_from = tier_views_of(datatype)[0].whole_from
    if begin < whole_from:
        abort(
            409,
            f"The readings of {begin:%Y-%m-%d} have expired: numbers of that time cannot be computed again. Give a "
            f"time after {shown(whole_from)}, or a fixed energy for the span.",
        )


def milliseconds(time: Any) -> Any:
    """A time as MongoDB stores it; None stays."""
    if time is None:
        return None
    time = time.astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def shown(time: datetime) -> str:
    """A time as messages give it, to the minute."""
    return f"{time:%Y-%m-%dT%H:%MZ}"
