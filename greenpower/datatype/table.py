"""The generated table of fields in a plugin's README, between two marks. The text around it is written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from greenpower.datatype.conversion import exact
from greenpower.datatype.declaration import DataType
from greenpower.datatype.field import Field

TABLE_HEADER = (
    "| stored as | unit | kind | plausible values | meaning | sent as |\n| --- | --- | --- | --- | --- | --- |\n"
)
TABLE_END = "<!-- end of fields -->"
UNDECLARED_KEPT = "Numbers under other keys are stored under their normalised names.\n"
UNDECLARED_LEFT_OUT = "Numbers under other keys are left out.\n"


def field_table(datatype: DataType) -> str:
    """The fields of a data type as Markdown, and what happens to undeclared keys."""
    rows = "".join(f"| {' | '.join(map(_cell, _row(field)))} |\n" for field in datatype.fields)
    return (f"{TABLE_HEADER}{rows}\n" if rows else "") + (UNDECLARED_KEPT if datatype.open else UNDECLARED_LEFT_OUT)


def with_tables(text: str, datatypes: Iterable[DataType]) -> str:
    """A README with the current table of each data type between its marks.

    The marks for a type `shed` are `<!-- fields: shed -->` and `<!-- end of fields -->`. Raises ValueError if one is
    missing.
    """
    for datatype in datatypes:
        start = f"<!-- fields: {datatype.name} -->\n"
        before, found, rest = text.partition(start)
        _, ends, after = rest.partition(TABLE_END)
        if not (found and ends) or start in after:
            raise ValueError(f"the table of {datatype.name} needs {start.strip()} once, and {TABLE_END} after it")
        text = before + start + field_table(datatype) + TABLE_END + after
    return text


def _row(field: Field) -> tuple[str, ...]:
    limits = [f"{field.low:,.16g} … {field.high:,.16g}" if None not in (field.low, field.high) else _one_limit(field)]
    if field.greatest_rate is not None:
        limits.append(f"rises at most {field.greatest_rate:,.16g} per hour")
    if field.modulus is not None:
        limits.append(f"starts again at {field.modulus:,.16g}")
    sent = " ".join([*(f"`{key}`" for key in field.sources[1:]), *_form(field)])
    return f"`{field.name}`", field.unit, field.kind.value, ", ".join(filter(None, limits)), field.title, sent


def _form(field: Field) -> Iterator[str]:
    """How values are sent, if not as they are stored."""
    if exact(field.scale) != 1:
        yield f"times {exact(field.scale).normalize():f}"
    if field.sent_in and field.sent_in != field.unit:
        yield f"in {field.sent_in}"
    if field.words:
        yield ", ".join(f"`{word}` = {number:,.16g}" for word, number in field.words.items())


def _one_limit(field: Field) -> str:
    if field.low is not None:
        return f"from {field.low:,.16g}"
    return "" if field.high is None else f"up to {field.high:,.16g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
