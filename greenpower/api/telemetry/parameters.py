"""Parameters of the resources of a data type: which fields, which resolution, how to count.

What does not belong here: parameters that do not depend on data types (`greenpower.api.http.fields`).
"""

from __future__ import annotations

from collections.abc import Sequence

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import ItemList
from greenpower.datatype import DataType
from greenpower.datatype.field import NAME
from greenpower.mongo.rollups.tier_view import RAW

AUTO = "auto"
# As many points of one device as a chart can show.
MAX_POINTS_PER_DEVICE = 2_000
EXACT, ESTIMATED, NONE = "exact", "estimated", "none"
COUNT_MODES = (EXACT, ESTIMATED, NONE)
MAX_FIELDS = 100


def resolutions(datatype: DataType) -> tuple[str, ...]:
    """The resolutions at which a type can be read, finest first."""
    return (RAW, *(tier.resolution for tier in datatype.tiers if tier.window is not None))


def resolution_field(datatype: DataType, default: str = AUTO) -> ma.fields.String:
    """The parameter `resolution`."""
    names = resolutions(datatype)
    text = f"{RAW}: readings as measured; otherwise buckets of that length."
    if default == AUTO:
        names = (AUTO, *names)
        text += (
            f" {AUTO}: the finest that still has data at start_time and gives at most {MAX_POINTS_PER_DEVICE} points "
            "per device."
        )
    return ma.fields.String(load_default=default, validate=ma.validate.OneOf(names), metadata=describe(text))


def unknown_field(datatype: DataType, names: Sequence[str]) -> str | None:
    """What is wrong with the first name that is no field of the type; None if all are."""
    declared = [field.name for field in datatype.fields]
    for name in names:
        if name not in declared and not (datatype.open and NAME.fullmatch(name)):
            return f"{datatype.name} has no field {name!r}. Its fields are {', '.join(declared)}."
    return None


def fields_field(datatype: DataType) -> ItemList:
    """The parameter `fields`: declared fields, and any other name if the type keeps undeclared values.

    Load it as an attribute of another name: a schema has an attribute `fields` of its own.
    """
    declared = [field.name for field in datatype.fields]

    def known(names: Sequence[str]) -> None:
        if problem := unknown_field(datatype, names):
            raise ma.ValidationError(problem)

    return ItemList(
        data_key="fields",
        max_items=MAX_FIELDS,
        validate=known,
        metadata=describe(
            "only these fields; separate several with commas, or repeat the parameter", example=[",".join(declared[:2])]
        ),
    )
