"""`greenpower watch`: live values as a table in the terminal, straight from Redis."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from greenpower.bus.message import Message
from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.datatype import DataType
from greenpower.loops import ThreadLoop
from greenpower.realtime.cache import LatestCache
from greenpower.realtime.feed import Feed

FRAMES_PER_SECOND = 4
SHOWN_FIELDS = 6
STYLES = {"online": "green", "offline": "bold red"}


@click.command()
@click.option("--type", "type_name", help="Only devices of this data type.")
@click.option("--device", help="Only this device, with all its values.")
def watch(type_name: str | None, device: str | None) -> None:
    """Show live values until Ctrl-C."""
    settings = load_settings()
    registry = get_registry()
    if type_name is not None and registry.get(type_name) is None:
        raise click.BadParameter(f"unknown data type {type_name!r}", param_hint="--type")
    types = [datatype for datatype in registry if type_name in (None, datatype.name)]
    board = Board(types, device)
    console = Console()
    feed = Feed(settings.need("REDIS_URL"), [datatype.name for datatype in types], board)
    with (
        suppress(KeyboardInterrupt),
        Live(console=console, auto_refresh=False, screen=console.is_terminal) as live,
    ):

        def work(loop: ThreadLoop) -> None:
            try:
                feed.run(loop, lambda: board.show(live, connected=True))
            finally:
                board.show(live, connected=False)

        loop = feed.make_loop(work)
        signal.signal(signal.SIGTERM, lambda *_: loop.request_stop())
        loop.run()


class Board:
    """What is shown. A listener of the feed."""

    def __init__(self, types: Iterable[DataType], device: str | None) -> None:
        self.types = tuple(types)
        self.device = device
        self.cache = LatestCache()
        self._shown_at = 0.0

    def on_readings(self, type_name: str, readings: list[Message]) -> None:
        self.cache.add_readings(type_name, readings)

    def on_statuses(self, statuses: list[Message]) -> None:
        self.cache.add_statuses(statuses)

    def on_revoked(self, family: str) -> None:
        """Nobody is logged in here."""

    def on_loaded(self) -> None:
        """All of it is shown with the next picture."""

    def show(self, live: Live, *, connected: bool) -> None:
        """Draw, unless that was a moment ago."""
        now = datetime.now(UTC)
        if now.timestamp() - self._shown_at >= 1 / FRAMES_PER_SECOND:
            self._shown_at = now.timestamp()
            live.update(self.table(now, connected=connected), refresh=True)

    def table(self, now: datetime, *, connected: bool = True) -> Table:
        """The table as of now."""
        table = Table(title=None if connected else "Redis is away: values stand still", title_style="bold red")
        for heading in ("type", "device", "status", "age", "values"):
            table.add_column(heading, overflow="fold" if heading == "values" else "ellipsis")
        for datatype in self.types:
            for device in sorted(self.cache.devices(datatype.name)):
                if self.device in (None, device):
                    table.add_row(*self._row(datatype, device, now))
        return table

    def _row(self, datatype: DataType, device: str, now: datetime) -> tuple[str, ...]:
        reading = self.cache.reading(datatype.name, device)
        status = (self.cache.status(datatype.name, device) or {}).get("status") or ""
        style = STYLES.get(status)
        shown = f"[{style}]{status}[/]" if style else status
        if reading is None:
            return datatype.name, escape(device), shown, "", ""
        age = now - datetime.fromisoformat(reading["timestamp"])
        text = escape(self._values(datatype, reading))
        return datatype.name, escape(device), shown, age_text(age.total_seconds()), text

    def _values(self, datatype: DataType, reading: Message) -> str:
        units = {field.name: field.unit for field in datatype.fields}
        values = sorted(reading["payload"].items(), key=lambda item: (item[0] not in units, 0))
        if self.device is None:
            values = values[:SHOWN_FIELDS]
        return "  ".join(f"{name} {value:g} {units.get(name, '')}".rstrip() for name, value in values)


def age_text(seconds: float) -> str:
    """An age in its largest unit: `12 s`, `5 min`, `3 h`, `2 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
