"""CSV: texts from outside stay texts, numbers stay numbers."""

from __future__ import annotations

import csv
import io

import pytest

from greenpower.api.http.csv_text import csv_lines, csv_text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\x01"])
def test_a_text_cannot_become_a_formula(start: str) -> None:
    written = csv_lines([(f"{start}cmd|' /C calc'!A0", -1.5)]).decode()
    ((text, number),) = csv.reader(io.StringIO(written, newline=""))
    assert text == f"'{start}cmd|' /C calc'!A0" and number == "-1.5"


def test_an_ordinary_text_is_as_it_was() -> None:
    assert [csv_text(text) for text in ("", "M1", "33B1=2", "A-1")] == ["", "M1", "33B1=2", "A-1"]
    assert csv_lines([("M1", 0, 0.1, True, None, 'a,"b"')]) == b'M1,0,0.1,true,,"a,""b"""\r\n'
