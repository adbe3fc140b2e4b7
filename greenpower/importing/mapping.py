"""The mapping of a file: which of its columns are what. A small TOML file, every part of it optional.

What belongs here: its shape, and what is wrong with it. What does not: finding columns by their names (`columns`).
"""

from __future__ import annotations

import codecs
import tomllib
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from greenpower.importing.file_error import ImportFileError

MAX_MAPPING_BYTES = 64 * 1024
Label = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MappedColumn(_Part):
    """What a column holds. unit: in which it is; empty: that of the field. scale: its numbers are multiplied by it."""

    field: Label
    unit: str = ""
    scale: float = Field(1.0, allow_inf_nan=False)

    @field_validator("scale")
    @classmethod
    def _is_factor(cls, value: float) -> float:
        if not value:
            raise ValueError("must not be 0")
        return value


class Mapping(_Part):
    """A mapping. device_id: of all rows. time: a column, or several that make one text. field, value, unit: the columns
    of a file with a line per value. columns: {column, or in such files the name of the field there: field}. devices:
    {name in the file: device id}."""

    device: Label | None = None
    device_id: Label | None = None
    time: Label | tuple[Label, ...] | None = None
    time_format: str = Field("", max_length=100)
    timezone: str = ""
    repeated_hour: Literal["order", "first", "second", "refuse"] = "order"
    topic: Label | None = None
    field: Label | None = None
    value: Label | None = None
    unit: Label | None = None
    delimiter: str = Field("", max_length=1)
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8-sig"
    missing: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    ignore_unknown: bool = False
    columns: dict[Label, MappedColumn] = Field(default_factory=dict)
    devices: dict[Label, Label] = Field(default_factory=dict)

    @field_validator("columns", mode="before")
    @classmethod
    def _plain_names(cls, value: Any) -> Any:
        """A column may be given by the name of its field alone."""
        if not isinstance(value, dict):
            return value
        return {key: {"field": item} if isinstance(item, str) else item for key, item in value.items()}

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if value:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                raise ValueError(f"{value!r:.60} is no time zone, such as 'Europe/Berlin'") from None
        return value

    @field_validator("encoding")
    @classmethod
    def _is_text_encoding(cls, value: str) -> str:
        try:
            if not codecs.lookup(value)._is_text_encoding:
                raise LookupError
            "".encode(value)
        except (LookupError, ValueError):
            raise ValueError(f"{value!r:.60} is no encoding, such as 'cp1252'") from None
        return value

    def changed(self, **given: Any) -> Mapping:
        """With other values for some settings; None stands for no change. Raises ImportFileError."""
        return make_mapping({**self.model_dump(), **{name: one for name, one in given.items() if one is not None}})


def make_mapping(content: dict[str, Any]) -> Mapping:
    """A mapping. Raises ImportFileError with a line per problem."""
    try:
        mapping = Mapping(**content)
    except ValidationError as error:
        lines = [
            f"mapping: {'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise ImportFileError("\n".join(lines)) from None
    if mapping.device is not None and mapping.device_id is not None:
        raise ImportFileError("mapping: give either device (a column) or device_id (of all rows)")
    if (mapping.field is None) != (mapping.value is None):
        raise ImportFileError("mapping: a file with a line per value needs both field and value")
    return mapping


def read_mapping(text: str) -> Mapping:
    """A mapping as TOML. Raises ImportFileError with a line per problem."""
    if len(text.encode("utf-8", "replace")) > MAX_MAPPING_BYTES:
        raise ImportFileError(f"mapping: longer than {MAX_MAPPING_BYTES} bytes")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ImportFileError(f"mapping: no TOML: {error}") from None
    return make_mapping(content)
