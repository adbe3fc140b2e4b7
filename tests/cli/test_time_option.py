"""Times as options of a command."""

from __future__ import annotations

import click
import pytest

from greenpower.cli.export import export
from greenpower.cli.replay import replay
from greenpower.cli.rollups import backfill
from greenpower.cli.time_option import EndOption, TimeOption


@pytest.mark.parametrize(
    ("option", "text", "wanted"),
    [
        (TimeOption(), "2026-11-10", "2026-11-10T00:00:00"),
        (TimeOption(), "2026-11-10T13:00", "2026-11-10T13:00:00"),
        (TimeOption(), "2026-11-10T13:00+05:45", "2026-11-10T07:15:00"),
        (EndOption(), "2026-11-10", "2026-11-11T00:00:00"),
        (EndOption(), "2024-02-28", "2024-02-29T00:00:00"),
        (EndOption(), "2026-12-31", "2027-01-01T00:00:00"),
        (EndOption(), "2026-11-10T00:00", "2026-11-10T00:00:00"),
        (EndOption(included=True), "2026-11-10", "2026-11-10T23:59:59.999999"),
        (EndOption(included=True), "2026-11-10 00:00", "2026-11-10T00:00:00"),
    ],
)
def test_a_date_as_an_end_is_the_whole_day(option: TimeOption, text: str, wanted: str) -> None:
    assert option.convert(text, None, None).isoformat() == wanted + "+00:00"


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "", "0001-01-01T00:00+06:00", "2026-11-10Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        EndOption().convert(text, None, None)


@pytest.mark.parametrize("command", [backfill, replay, export])
def test_every_range_of_a_command_ends_with_the_day(command: click.Command) -> None:
    kinds = {parameter.name: parameter.type for parameter in command.params}
    assert isinstance(kinds["until"], EndOption) and type(kinds["since"]) is TimeOption
