"""Rule for the time of a frame: a parser ends with every frame, also with the longest."""

from __future__ import annotations

from collections.abc import Iterator

from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem


def check_deadline(plugin: Plugin) -> Iterator[Problem]:
    """No sample, and no frame as long as ingest takes them, takes a parser for ever. The first run has tried them."""
    if plugin.first_run.overrun is not None:
        yield plugin.first_run.overrun
