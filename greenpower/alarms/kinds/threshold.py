"""A value of a device above or below a limit, or outside a band."""

from __future__ import annotations

from collections.abc import Mapping

from greenpower.alarms.kind import AlarmKind, Judged, KindParam, ParamKind, Params
from greenpower.alarms.machine import Condition
from greenpower.alarms.subject import SubjectKind
from greenpower.datatype import DataType


def judge(params: Params, payload: Mapping[str, float]) -> Judged | None:
    """A value at a limit is not beyond it; one that is as far from it as the hysteresis is within it."""
    value = payload.get(params["field"])
    if value is None:
        return None
    above, below, hysteresis = params["above"], params["below"], params["hysteresis"]
    if (above is not None and value > above) or (below is not None and value < below):
        return Condition.BEYOND, value
    if (above is None or value <= above - hysteresis) and (below is None or value >= below + hysteresis):
        return Condition.WITHIN, value
    return Condition.BETWEEN, value


def problem(params: Params) -> str | None:
    """A rule needs a limit, and a band with room for the hysteresis."""
    above, below = params["above"], params["below"]
    if above is None and below is None:
        return "Give `above`, `below` or both."
    if above is not None and below is not None and above - below < 2 * params["hysteresis"]:
        return "`above` must be greater than `below` by at least twice the hysteresis."
    return None


def type_problem(params: Params, datatype: DataType) -> str | None:
    """The data type must have the field."""
    names = [field.name for field in datatype.fields]
    return None if params["field"] in names else f"{datatype.name} has no field {params['field']!r}"


KIND = AlarmKind(
    name="threshold",
    title="Value beyond a limit",
    text="A value of a device is above a limit, below one, or outside a band.",
    subjects=frozenset({SubjectKind.DEVICE}),
    params=(
        KindParam(name="field", text="field of the data type", kind=ParamKind.TEXT, required=True),
        KindParam(name="above", text="raised when the value is greater, in the field's unit"),
        KindParam(name="below", text="raised when the value is less, in the field's unit"),
        KindParam(
            name="hysteresis", text="how far within the limit the value must be to clear", default=0.0, minimum=0
        ),
    ),
    example={"field": "voltage_a", "above": 253.0, "below": 207.0, "hysteresis": 2.0},
    judge=judge,
    fields=lambda params: (params["field"],),
    needs_type=True,
    problem=problem,
    type_problem=type_problem,
)
