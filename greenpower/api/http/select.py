"""Parameters that say which devices and which values: lists, repeated or with commas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.datatype import DataType
from greenpower.datatype.field import NAME

MOST_DEVICES = 100
MOST_FIELDS = 100
LONGEST = 64


class Several(ma.fields.List[str]):
    """Texts, given as `a,b` or one by one, each once and in order."""

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        super().__init__(ma.fields.String(), load_default=(), **kwargs)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[str | None]:
        texts = super()._deserialize(value, attr, data, **kwargs)
        parts: list[str] = list(dict.fromkeys(part for text in texts for part in str(text).split(",")))
        if len(parts) > self.most:
            raise ma.ValidationError(f"At most {self.most}.")
        if not all(1 <= len(part) <= LONGEST for part in parts):
            raise ma.ValidationError(f"Each is 1 to {LONGEST} characters long.")
        return [*parts]


def device_field() -> Several:
    """The parameter `device_id`."""
    return Several(most=MOST_DEVICES, metadata=describe("only this device's; several with commas or repeated"))


def fields_field(datatype: DataType) -> Several:
    """The parameter `fields`, kept under another name since a schema has `fields` of its own: declared ones, and any
    names at all where the type takes undeclared ones."""
    declared = {field.name for field in datatype.fields}

    def known(names: Sequence[str]) -> None:
        for name in names:
            if name not in declared and not (datatype.open and NAME.fullmatch(name)):
                raise ma.ValidationError(f"{datatype.title} has no field {name}.")

    example = ",".join(field.name for field in datatype.fields[:2])
    return Several(
        data_key="fields",
        most=MOST_FIELDS,
        validate=known,
        metadata=describe("only these values; several with commas or repeated", example=[example]),
    )


def shown(names: Sequence[str], *places: str, always: Mapping[str, Any]) -> dict[str, Any]:
    """The projection for some fields, or all. places: the parts of a document that are keyed by field."""
    wanted = {f"{place}.{name}": 1 for place in places for name in names} if names else dict.fromkeys(places, 1)
    return {**always, **wanted}
