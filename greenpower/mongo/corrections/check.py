"""What is wrong with a correction of samples before it is made, for the API and the command line."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import datetime

from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype import DataType, Kind
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.rollups.tier_view import read_tier_views

# Degrees on a circle and codes are not multiplied.
WITHOUT_FACTOR = frozenset({Kind.ANGLE, Kind.ENUMERATION})


def sample_problems(
    datatype: DataType, field: str, kind: CorrectionKind, begin: datetime, end: datetime | None, factor: float | None
) -> dict[str, list[str]]:
    """What is wrong with a correction, by the name of the value; empty where nothing is."""
    errors: defaultdict[str, list[str]] = defaultdict(list)
    kinds = {item.name: item.kind for item in datatype.fields}
    if field not in kinds and not datatype.open:
        known = ", ".join(sorted(kinds))
        errors["field"].append(f"{datatype.name} has no field {field!r}. Its fields are {known}.")
    if end is not None and end <= begin:
        errors["end"].append("The end must be after the begin.")
    if kind is CorrectionKind.FACTOR:
        if factor is None or not math.isfinite(factor) or factor == 0:
            errors["factor"].append("Give a factor: a finite number other than 0.")
        elif kinds.get(field) in WITHOUT_FACTOR:
            errors["factor"].append(f"{field} is no quantity that can be multiplied.")
    elif factor is not None:
        errors["factor"].append("Only a correction of kind `factor` has one.")
    return dict(errors)


def expired(db: Database[Document], datatype: DataType, settings: Settings, time: datetime) -> str | None:
    """Why what was made of readings from a time on cannot be computed again; None where it can. Raises PyMongoError."""
    whole_from = read_tier_views(db, datatype, settings)[0].whole_from
    if time >= whole_from:
        return None
    return f"the readings of {time:%Y-%m-%d} have expired: give a time after {whole_from:%Y-%m-%dT%H:%MZ}"
