"""The table of fields in a plugin's README, between two marks; everything around it is written by hand."""

from __future__ import annotations

from collections.abc import Iterable

from greenpower.datatype.declaration import DataType
from greenpower.datatype.field import Field

HEADER = "| stored as | unit | kind | plausible | what | sent as |\n| --- | --- | --- | --- | --- | --- |\n"
END = "<!-- end of fields -->"
OPEN = "Numbers under other keys are stored under their normalised names.\n"
CLOSED = "Numbers under other keys are left out.\n"


def field_table(datatype: DataType) -> str:
    """The fields of a data type as Markdown, and what becomes of undeclared keys."""
    rows = "".join(f"| {' | '.join(map(_cell, _row(field)))} |\n" for field in datatype.fields)
    return (f"{HEADER}{rows}\n" if rows else "") + (OPEN if datatype.open else CLOSED)


def with_tables(text: str, datatypes: Iterable[DataType]) -> str:
    """A README with the table of each data type between its marks brought up to date.

    The marks of a type `shed` are `<!-- fields: shed -->` and `<!-- end of fields -->`. Raises ValueError where one is
    missing.
    """
    for datatype in datatypes:
        start = f"<!-- fields: {datatype.name} -->\n"
        before, found, rest = text.partition(start)
        _, ends, after = rest.partition(END)
        if not (found and ends) or start in after:
            raise ValueError(f"the table of {datatype.name} needs one {start.strip()} with {END} after it")
        text = before + start + field_table(datatype) + END + after
    return text


def _row(field: Field) -> tuple[str, ...]:
    limits = [f"{field.low:,.16g} … {field.high:,.16g}" if None not in (field.low, field.high) else _one_limit(field)]
    if field.greatest_rate is not None:
        limits.append(f"rises at most {field.greatest_rate:,.16g} an hour")
    if field.modulus is not None:
        limits.append(f"starts again at {field.modulus:,.16g}")
    sent = " ".join(f"`{key}`" for key in field.sources[1:])
    return f"`{field.name}`", field.unit, field.kind.value, ", ".join(filter(None, limits)), field.title, sent


def _one_limit(field: Field) -> str:
    if field.low is not None:
        return f"from {field.low:,.16g}"
    return "" if field.high is None else f"up to {field.high:,.16g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
