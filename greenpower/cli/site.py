"""`greenpower site`: check a site file, and print what one may hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from greenpower.catalog.registry import RegistryError, load_registry
from greenpower.catalog.site import Site, read_site
from greenpower.config import ConfigError, load_settings


@click.group()
def site() -> None:
    """The site file (GREENPOWER_SITE): topics, device ids, point and Modbus maps, ranges."""


@site.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check(file: Path | None) -> None:
    """Check FILE, or the one that GREENPOWER_SITE names: one line a problem, exit code 1 if there is one."""
    path = file or load_settings().greenpower_site
    if path is None:
        raise ConfigError("no site file: name one, or set GREENPOWER_SITE")
    try:
        registry = load_registry(path)
    except RegistryError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    for name in read_site(path).types:
        datatype = registry[name]
        claims = [claim.topic for claim in datatype.topics] + [claim.registration for claim in datatype.gateways]
        click.echo(f"{name}: {', '.join(claims)}; {len(datatype.fields)} fields")
    click.echo(f"{path}: no problem found")


@site.command()
def schema() -> None:
    """Print the JSON schema of a site file, for editors that check TOML by it."""
    click.echo(json.dumps(Site.model_json_schema(), indent=2, ensure_ascii=False))
