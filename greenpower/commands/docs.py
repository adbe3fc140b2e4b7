"""`greenpower docs`: the parts of the documentation that are made from the code."""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import groupby
from pathlib import Path

import click

from greenpower.datatype.table import with_tables
from greenpower.registry import RegistryError, discover


@click.group()
def docs() -> None:
    """Bring generated parts of the documentation up to date."""


@docs.command()
@click.option("--write", is_flag=True, help="Write what is stale; without it, name it and end with exit code 1.")
def fields(write: bool) -> None:
    """The tables of fields in the plugins' README files."""
    stale = {path: text for path, text in readmes().items() if path.read_text("utf-8") != text}
    for path, text in stale.items():
        if write:
            path.write_text(text, "utf-8")
        click.echo(f"{path}: {'written' if write else 'is stale: run greenpower docs fields --write'}")
    if stale and not write:
        sys.exit(1)


def readmes() -> dict[Path, str]:
    """The README files that plugins have, as they should be. Raises RegistryError where marks are missing."""
    found = {}
    for origin, group in groupby(discover().loaded, key=lambda item: item.origin):
        datatypes = [item.datatype for item in group]
        path = Path(import_module(origin).__file__ or "").parent / "README.md"
        if path.is_file():
            try:
                found[path] = with_tables(path.read_text("utf-8"), datatypes)
            except ValueError as error:
                raise RegistryError(f"{path}: {error}") from None
    return found
