"""Reading a table of points: headings, cells, and errors that name line and column."""

from __future__ import annotations

import pytest

from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.point_table import MAX_TABLE_PROBLEMS, MAX_TABLE_ROWS, TableError, TableRow, read_table


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
def test_a_table_as_spreadsheets_write_it(sign: str, end: str, mark: str) -> None:
    lines = [
        ("Device", " point", "ROLE", "carrier"),
        ("M1", '"Hall, ""north"""', "Load", ""),
        ("", "", "", ""),
        (" M2", "", "", "WATER"),
    ]
    rows = read_table(mark + end.join(sign.join(cells) for cells in lines) + end)
    assert rows == [
        TableRow(line=2, device="M1", point='Hall, "north"', role=PointRole.LOAD),
        TableRow(line=4, device="M2", carrier=Carrier.WATER),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column device: is missing"),
        ("device\n", "line 1: there are no rows"),
        ("device,colour\nM1,red\n", "line 1, column colour: unknown"),
        ("device,zone,zone\nM1,a,b\n", "line 1, column zone: is there twice"),
        ("device,role\nM1,\nM2,sink\n", "line 3, column role: 'sink' is not one of"),
        ("device,carrier\nM1,coal\n", "line 2, column carrier: 'coal' is not one of"),
        ("device,name\n,x\n", "line 2, column device: is empty"),
        ("device\n$M1\n", "line 2, column device: '$M1' is not a device id"),
        ("device,name\nM1," + "x" * 121 + "\n", "line 2, column name: is longer than 120"),
        ("device,name\nM1,a\x07b\n", "line 2, column name: 'a\\x07b' has characters"),
        ("device,name\nM1,a,b\n", "line 2: it has 3 cells, not 2"),
        ('device,name\nM1,"a\n', "line 2"),
        ("device\n" + "M1\n" * (MAX_TABLE_ROWS + 1), f"more than {MAX_TABLE_ROWS} rows"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(text: str, said: str) -> None:
    with pytest.raises(TableError) as error:
        read_table(text)
    assert said in str(error.value)


def test_all_that_is_wrong_is_said_at_once_as_far_as_anybody_reads() -> None:
    with pytest.raises(TableError) as error:
        read_table("device,role\nM1,a\nM2,load\nM3,b\n")
    assert [(problem.line, problem.column) for problem in error.value.problems] == [(2, "role"), (4, "role")]
    with pytest.raises(TableError) as error:
        read_table("device,role\n" + "M1,a\n" * (MAX_TABLE_PROBLEMS + 5))
    assert len(error.value.problems) == MAX_TABLE_PROBLEMS
