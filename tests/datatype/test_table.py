"""The table of fields in a README."""

from __future__ import annotations

import pytest

from greenpower.datatype import DataType, Field, Kind, Mqtt, json_parser
from greenpower.datatype.table import field_table, with_tables

DATATYPE = DataType(
    name="test",
    title="Test",
    collection="test_data",
    match=(Mqtt("test"),),
    fields=(
        Field("ua", unit="V", low=0, high=1_000_000, title="voltage | phase A"),
        Field(
            "total", unit="kWh", kind=Kind.COUNTER, low=0, greatest_rate=0.5, modulus=10**9, source=("Total", "sum(%)")
        ),
        Field("t", unit="°C", high=90.5),
        Field("mode", unit="1", kind=Kind.STATE),
    ),
    parse=json_parser(device="id"),
    open=False,
)
TABLE = """\
| stored as | unit | kind | plausible values | meaning | sent as |
| --- | --- | --- | --- | --- | --- |
| `ua` | V | gauge | 0 … 1,000,000 | voltage \\| phase A |  |
| `total` | kWh | counter | from 0, rises at most 0.5 per hour, starts again at 1,000,000,000 |  | `Total` `sum(%)` |
| `t` | °C | gauge | up to 90.5 |  |  |
| `mode` | 1 | state |  |  |  |

Numbers under other keys are left out.
"""


def test_one_row_per_field() -> None:
    assert field_table(DATATYPE) == TABLE


def test_only_the_text_between_the_marks_changes() -> None:
    text = "# Title\n\n<!-- fields: test -->\nold\n<!-- end of fields -->\n\nrest\n"
    fresh = with_tables(text, [DATATYPE])
    assert fresh == f"# Title\n\n<!-- fields: test -->\n{TABLE}<!-- end of fields -->\n\nrest\n"
    assert with_tables(fresh, [DATATYPE]) == fresh


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- fields: test -->\n",
        "<!-- fields: other -->\n<!-- end of fields -->",
        "<!-- fields: test -->\n<!-- end of fields -->\n" * 2,
    ],
)
def test_missing_marks_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="<!-- fields: test -->"):
        with_tables(text, [DATATYPE])
