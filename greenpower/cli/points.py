"""`greenpower points`: meter points, at the console.

For administrators of the machine. The rules are those of the API, but nobody logs in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
from sqlalchemy.exc import IntegrityError

from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.cli.point_availability import availability
from greenpower.cli.point_changes import add, change, remove, table
from greenpower.cli.table import print_table
from greenpower.config import ConfigError, load_settings
from greenpower.energy.point import Point, PointPart
from greenpower.energy.proposal import Proposal
from greenpower.energy.proposal_reader import make_proposed, read_proposal
from greenpower.energy.site import EnergySite, read_site
from greenpower.mongo.client import sync_client
from greenpower.sql.extensions import db

POINT_HEADINGS = ("id", "name", "carrier", "role", "zone", "below", "parts")
PROPOSED_HEADINGS = ("name", "carrier", "role", "zone", "parts")
LEFT_OUT_HEADINGS = ("left out", "device", "counters", "why")


@click.group()
def points() -> None:
    """List, propose, make and change meter points."""


for command in (add, availability, change, remove, table):
    points.add_command(command)


@points.command("list")
def list_() -> None:
    """List meter points by name."""
    with console_audit(load_settings()):
        site = read_site(db.session)
    print_table(POINT_HEADINGS, [point_row(point, site) for point in site.points.values()])


@points.command()
@click.option("--make", is_flag=True, help="Make them. Without it they are only shown.")
def propose(make: bool) -> None:
    """Propose meter points from the devices that are there.

    A point for each counter that stands for the energy of a device. Counters that are parts of points are left alone,
    so this can be run at any time. Role and zone are a first guess:
    change them as the site is.
    """
    settings = load_settings()
    with sync_client(settings) as client, console_audit(settings):
        proposal = read_proposal(
            db.session,
            client[settings.mongo_db_name],
            get_registry(),
            confirmed=settings.device_policy != "open",
        )
        zones = read_site(db.session).zone_names
        db.session.rollback()
        _print_proposal(proposal, zones)
        if make:
            with _name_is_free():
                made = make_proposed(db.session, proposal)
            click.echo(f"{len(made)} meter points made" + ("; there are more: run it again" if proposal.more else ""))
        elif proposal.points:
            click.echo("Make them with --make.")


@contextmanager
def _name_is_free() -> Iterator[None]:
    """Within it, a name that is taken becomes a ConfigError."""
    try:
        yield
    except IntegrityError:
        db.session.rollback()
        raise ConfigError("there is already a meter point of this name") from None


def _print_proposal(proposal: Proposal, zones: Mapping[int, str]) -> None:
    print_table(
        PROPOSED_HEADINGS,
        [
            (point.name, point.carrier.value, point.role.value, zones.get(point.zone or 0, ""), parts_text(point.parts))
            for point in proposal.points
        ],
    )
    if proposal.left_out:
        click.echo("")
        print_table(
            LEFT_OUT_HEADINGS,
            [(item.type, item.device_id, ", ".join(item.fields), item.why.value) for item in proposal.left_out],
        )


def point_row(point: Point, site: EnergySite) -> tuple[str, ...]:
    """A point as a row of a table."""
    above = site.points.get(point.parent or 0)
    zone = "" if point.zone is None else site.zone_names.get(point.zone, "")
    return (
        str(point.number),
        point.name,
        point.carrier.value,
        point.role.value,
        zone,
        "" if above is None else above.name,
        parts_text(point.parts),
    )


def parts_text(parts: Iterable[PointPart]) -> str:
    """Parts in a line: `meter M1 energy`, with `-` before those that are subtracted."""
    return ", ".join(("-" if part.sign < 0 else "") + " ".join(part.counter) for part in parts)
