"""`greenpower watch`: live values as a table in the terminal, straight from Redis.

What belongs here: what is shown. What does not: listening (`greenpower.realtime.feed`) and merging packets
(`greenpower.realtime.cache`).
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, cast

import click
import redis
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from greenpower.bus.keys import WHOLE, latest_key, status_key
from greenpower.bus.message import Message
from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.datatype import DataType
from greenpower.loops import ThreadLoop
from greenpower.realtime.cache import LatestCache
from greenpower.realtime.feed import Feed, make_client

MAX_FRAMES_PER_SECOND = 4
# Of one device among many; with --device all of its values are shown.
MAX_VALUES_PER_ROW = 6
STYLES = {"online": "green", "offline": "bold red"}
# Registers have many digits before the point.
DIGITS = 12


class UnknownName(click.ClickException):
    """A device or a data type that does not exist: one line, with the nearest that does."""

    exit_code = 2

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        super().__init__(f"unknown {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


@click.command()
@click.option("--type", "type_name", help="Only devices of this data type.")
@click.option("--device", help="Only this device, with all its values.")
def watch(type_name: str | None, device: str | None) -> None:
    """Show live values until Ctrl-C.

    Exits with status 2 if the data type or the device is unknown.
    """
    settings = load_settings()
    registry = get_registry()
    names = [datatype.name for datatype in registry]
    if type_name is not None and type_name not in names:
        raise UnknownName("data type", type_name, names)
    types = [datatype for datatype in registry if type_name in (None, datatype.name)]
    url = settings.need("REDIS_URL")
    if device is not None:
        _check_device(url, types, device)
    board = Board(types, device)
    console = Console()
    feed = Feed(url, [datatype.name for datatype in types], board)
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


def _check_device(url: str, types: Iterable[DataType], device: str) -> None:
    """Raises UnknownName if Redis holds the newest readings of all devices, and this one is not among them."""
    with suppress(redis.RedisError, OSError), make_client(url) as client:
        if client.exists(WHOLE):
            hashes = cast(Any, client)  # its types are those of both kinds of client
            keys = [key for datatype in types for key in (latest_key(datatype.name), status_key(datatype.name))]
            if not any(hashes.hexists(key, device) for key in keys):
                raise UnknownName("device", device, {name.decode() for key in keys for name in hashes.hkeys(key)})


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

    def on_alarms(self, events: list[Message]) -> None:
        """Alarms are not shown."""

    def on_revoked(self, family: str) -> None:
        """There are no logins here."""

    def on_visible(self, subject: str) -> None:
        """Whoever is at the console sees everything."""

    def on_loaded(self) -> None:
        """All of it is shown with the next picture."""

    def show(self, live: Live, *, connected: bool) -> None:
        """Draw, unless that was a moment ago."""
        now = datetime.now(UTC)
        if now.timestamp() - self._shown_at >= 1 / MAX_FRAMES_PER_SECOND:
            self._shown_at = now.timestamp()
            live.update(self.table(now, connected=connected), refresh=True)

    def table(self, now: datetime, *, connected: bool = True) -> Table:
        """The table as of now."""
        table = Table(
            title=None if connected else "Redis is not available: values are not updated", title_style="bold red"
        )
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
        values = list(values_of(datatype, reading))
        if self.device is None:
            text = "  ".join(values[:MAX_VALUES_PER_ROW])
            if len(values) > MAX_VALUES_PER_ROW:
                text += f"  … {len(values) - MAX_VALUES_PER_ROW} more"
        else:
            text = "\n".join(values)
        return datatype.name, escape(device), shown, age_text(age.total_seconds()), escape(text)


def values_of(datatype: DataType, reading: Message) -> Iterator[str]:
    """A reading's values with titles and units: declared fields in their order, then the others by name."""
    left = dict(reading["payload"])
    for field in datatype.fields:
        if (value := left.pop(field.name, None)) is not None:
            unit = "" if field.unit == "1" else f" {field.unit}"
            yield f"{field.title or field.name} {value:.{DIGITS}g}{unit}"
    for name in sorted(left, key=lambda name: (not name.isdecimal(), len(name) * name.isdecimal(), name)):
        yield f"{name} {left[name]:.{DIGITS}g}"


def age_text(seconds: float) -> str:
    """An age in its largest unit: `12 s`, `5 min`, `3 h`, `2 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
