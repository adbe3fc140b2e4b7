"""`greenpower docs`: checks and writes the documentation that is generated from the code."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from itertools import groupby
from pathlib import Path

import click
from pydantic import SecretStr

import greenpower
from greenpower.alarms.kind_table import alarm_kinds
from greenpower.catalog.registry import RegistryError, discover, load_registry
from greenpower.catalog.selection import ALL
from greenpower.cli.alarm_reference import with_alarm_kinds
from greenpower.cli.reference import commands_page, fields_page, settings_page
from greenpower.config import Settings
from greenpower.datatype.table import with_tables

ROOT = Path(greenpower.__file__).resolve().parent.parent
POSTMAN = "green_power_backend.postman_collection.json"
Pages = dict[Path, str]


@click.group()
def docs() -> None:
    """Check or write the generated documentation."""


def readmes() -> Pages:
    """The current README files of the plugins. Raises RegistryError if the marks of a table are missing."""
    found = {}
    for origin, group in groupby(discover(plugins=ALL).loaded, key=lambda item: item.origin):
        datatypes = [item.datatype for item in group]
        path = Path(import_module(origin).__file__ or "").parent / "README.md"
        if path.is_file():
            try:
                found[path] = with_tables(path.read_text("utf-8"), datatypes)
            except ValueError as error:
                raise RegistryError(f"{path}: {error}") from None
    return found


def field_pages() -> Pages:
    """docs/fields.md."""
    return {ROOT / "docs" / "fields.md": fields_page([item.datatype for item in discover(plugins=ALL).loaded])}


def settings_pages() -> Pages:
    """docs/settings.md."""
    return {ROOT / "docs" / "settings.md": settings_page()}


def commands_pages() -> Pages:
    """docs/commands.md."""
    group = click.get_current_context().find_root().command
    assert isinstance(group, click.Group)
    return {ROOT / "docs" / "commands.md": commands_page(group)}


def alarm_pages() -> Pages:
    """The table of kinds in docs/alarms.md."""
    path = ROOT / "docs" / "alarms.md"
    return {path: with_alarm_kinds(path.read_text("utf-8"), alarm_kinds().values())}


def route_pages() -> Pages:
    """docs/api.md."""
    from greenpower.api.system.markdown import api_page

    return {ROOT / "docs" / "api.md": api_page(api_schema())}


def postman_pages() -> Pages:
    """The Postman collection."""
    from greenpower.api.system.postman import collection_text

    return {ROOT / POSTMAN: collection_text(api_schema())}


def api_schema() -> dict[str, object]:
    """The OpenAPI document of the API with the installed plugins, no site file and default settings."""
    from greenpower.app import create_app

    with tempfile.TemporaryDirectory() as home:
        values = {name: field.default for name, field in Settings.model_fields.items()}
        given = {
            "greenpower_home": Path(home),
            "mongo_db_uri": SecretStr("mongodb://127.0.0.1/"),
            "jwt_signing_key": SecretStr("-" * 32),
        }
        app = create_app(Settings.model_construct(**{**values, **given}), load_registry(None))
        answer: dict[str, object] = app.test_client().get("/api/schema/").get_json()
    return answer


def _bring_up_to_date(name: str, pages: Pages, write: bool) -> bool:
    """Write stale pages, or name them. Returns whether a page is still stale."""
    stale = {path: text for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        if write:
            path.write_text(text, "utf-8")
        click.echo(f"{path}: {'written' if write else f'is stale: run greenpower docs {name} --write'}")
    return bool(stale) and not write


GENERATED_PAGES: dict[str, tuple[str, Callable[[], Pages]]] = {
    "fields": ("Field tables in the READMEs of plugins.", lambda: readmes()),
    "types": ("docs/fields.md: every data type with its fields.", lambda: field_pages()),
    "settings": ("docs/settings.md: every setting.", lambda: settings_pages()),
    "commands": ("docs/commands.md: every command.", lambda: commands_pages()),
    "alarms": ("Kinds of rules in docs/alarms.md.", lambda: alarm_pages()),
    "routes": ("docs/api.md: every route of the API.", lambda: route_pages()),
    "postman": ("Postman collection of the API.", lambda: postman_pages()),
}
WRITE_OPTION = click.option(
    "--write", is_flag=True, help="Write stale pages. Without it, name them and exit with status 1."
)


def _add(name: str, text: str, pages: Callable[[], Pages]) -> None:
    @docs.command(name, help=text)
    @WRITE_OPTION
    def part(write: bool) -> None:
        if _bring_up_to_date(name, pages(), write):
            sys.exit(1)


for _name, (_text, _pages) in GENERATED_PAGES.items():
    _add(_name, _text, _pages)


@docs.command("all")
@WRITE_OPTION
def everything(write: bool) -> None:
    """All of these pages."""
    left = [_bring_up_to_date(name, pages(), write) for name, (_, pages) in GENERATED_PAGES.items()]
    if any(left):
        sys.exit(1)
