"""What docs/spreadsheets.md prints for Power Query, done as Power Query does it, against the API."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

import pytest

from tests.blocks import ROOT
from tests.other_tools.conftest import DEVICE, OTHER, Site
from tests.other_tools.power_query import Query

PAGE = ROOT / "docs" / "spreadsheets.md"


def blocks() -> list[str]:
    return re.findall(r"```text\n(let\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_energy_of_each_day_as_printed(site: Site) -> None:
    energies, _ = blocks()
    # The printed month has no readings in this test: so the month is the one of the site.
    today = datetime.now(site.settings.device_zone).date()
    begin = today - timedelta(days=3)
    moved = energies.replace("2026-11-01", begin.isoformat()).replace("2026-11-30", today.isoformat())
    rows = Query(moved, site).run()
    assert list(rows[0]) == ["timestamp", "device_id", "field", "value", "unit", "bucket", "final"]
    assert {row["bucket"] for row in rows} == {begin + timedelta(days=n) for n in range(4)}
    assert {row["device_id"] for row in rows} == {DEVICE, "'" + OTHER} and {row["unit"] for row in rows} == {"kWh"}
    for row in rows:
        assert type(row["bucket"]) is date and row["timestamp"].utcoffset() is not None
        assert isinstance(row["final"], bool) and (row["value"] is None or isinstance(row["value"], float))
    wide = site.body(
        "/api/telemetry/eny-now-data/consumption/", start_time=begin.isoformat(), end_time=today.isoformat()
    )
    assert sum(row["value"] or 0 for row in rows) == pytest.approx(wide["total"], abs=1e-9) and wide["total"] > 50
    assert Query(energies, site).run(), "as printed it gives a row for each day and meter"


def test_the_newest_values_as_printed(site: Site) -> None:
    _, newest = blocks()
    rows = Query(newest, site).run()
    assert [{name: row[name] for name in ("device_id", "zyggl", "ua", "ub")} for row in rows] == [
        {"device_id": device, "zyggl": 1.5, "ua": 230.25, "ub": 231.0} for device in (DEVICE, "'" + OTHER)
    ]


@pytest.mark.parametrize(
    ("printed", "wrong"),
    [("Table.PromoteHeaders(", "Table.Promote("), ('"bucket", type date', '"day", type date'), ("in\n", "out\n")],
)
def test_a_mistake_in_the_page_is_found(site: Site, printed: str, wrong: str) -> None:
    text = blocks()[0]
    assert printed in text
    with pytest.raises((AssertionError, KeyError)):
        Query(text.replace(printed, wrong), site).run()
