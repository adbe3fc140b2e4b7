"""The output of `greenpower up`: every line with the name of the process that it comes from."""

from __future__ import annotations

import contextlib
import threading

import click

COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_yellow", "bright_blue")


class Output:
    """Lines on stdout, `name | text`, the name coloured on a terminal. Safe to call from several threads."""

    def __init__(self, width: int = 9) -> None:
        self._width = width
        self._colours: dict[str, str] = {}
        self._lock = threading.Lock()

    def say(self, who: str, line: str) -> None:
        """Print a line of `who`."""
        with self._lock:
            colour = self._colours.setdefault(who, COLOURS[len(self._colours) % len(COLOURS)])
            self._print(click.style(f"{who:<{self._width}} |", fg=colour) + f" {line}")

    def plain(self, line: str) -> None:
        """Print a line as it is."""
        with self._lock:
            self._print(line)

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads our output any more; the stack goes on
            click.echo(line)
