"""`greenpower site`: check a site file, and print its schema."""

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
    """Check the site file (GREENPOWER_SITE).

    It is a TOML file with topics, device ids, generator and Modbus maps, and ranges of values.
    """


@site.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check(file: Path | None) -> None:
    """Check a site file and print one line per problem.

    Checks FILE, or the file that GREENPOWER_SITE names. Exits with status 1 if there is a problem.
    """
    settings = load_settings()
    path = file or settings.greenpower_site
    if path is None:
        raise ConfigError("no site file: pass FILE or set GREENPOWER_SITE")
    try:
        registry = load_registry(path, settings.greenpower_plugins)
    except RegistryError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    for stopped in registry.stopped:
        click.echo(stopped.why, err=True)
    if registry.stopped:
        sys.exit(1)
    for name in sorted(read_site(path).named):
        if (datatype := registry.get(name)) is None:
            click.echo(f"{name}: not in force")
            continue
        claims = [claim.topic for claim in datatype.topics] + [claim.registration for claim in datatype.gateways]
        claims += [f"{claim.device or claim.protocol} at {claim.address}" for claim in datatype.dialled]
        claims += [claim.topic for claim in datatype.pushes]
        click.echo(f"{name}: {', '.join(claims)}; {len(datatype.fields)} fields")
    click.echo(f"{path}: no problems found")


@site.command()
def schema() -> None:
    """Print the JSON schema of site files, for editors."""
    click.echo(json.dumps(Site.model_json_schema(), indent=2, ensure_ascii=False))
