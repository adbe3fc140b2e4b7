"""`greenpower users`: the users, for an administrator of the machine."""

from __future__ import annotations

import sys
from contextlib import suppress

import click
import redis
from sqlalchemy import select

from greenpower.bus import revocation
from greenpower.cli.console import console_audit
from greenpower.cli.sql import sql_database
from greenpower.cli.table import shown_time
from greenpower.cli.zone_roles import read_zone_roles, restrict_to, zone_option, zones_text
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.sql import RoleName, User
from greenpower.sql.account import change_user
from greenpower.sql.extensions import db
from greenpower.sql.password import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from greenpower.sql.setup import make_user
from greenpower.sql.user import find_user

ROLES = [role.value for role in RoleName]
REDIS_SECONDS = 1.0


@click.group()
def users() -> None:
    """Create, restrict and list users."""


@users.command()
@click.argument("username")
@click.option(
    "--role", type=click.Choice(ROLES), default=RoleName.VIEWER.value, show_default=True, help="The user's role."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def create(username: str, role: str, password_stdin: bool) -> None:
    """Create a user. Asks for the password."""
    settings = load_settings()
    with console_audit(settings):
        if find_user(username) is not None:
            raise ConfigError(f"user {username!r} already exists; `greenpower users passwd` sets a new password")
        if not make_user(username, _password(password_stdin), RoleName(role)):
            raise ConfigError(f"user {username!r} already exists")
    click.echo(f"created {username}, {role}")


@users.command()
@click.argument("username")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def passwd(username: str, password_stdin: bool) -> None:
    """Set a new password for a user. Ends all sessions of the user."""
    settings = load_settings()
    with console_audit(settings):
        user = _find(username)
        ended = change_user(user, password=_password(password_stdin)).families
        db.session.commit()
    _show_revoked(settings, ended)
    click.echo(f"{username} has a new password; sessions ended: {len(ended)}")


@users.command()
@click.argument("username")
@zone_option
def restrict(username: str, zones: tuple[str, ...]) -> None:
    """Restrict a user to service zones.

    The user sees what is in them, and nothing else. What was given before ends. It holds at once; a user who was not
    restricted before has to log in again.
    """
    settings = load_settings()
    with console_audit(settings):
        user = _find(username)
        ended = restrict_to(user, read_zone_roles(zones))
        click.echo(f"{username} is restricted to {zones_text(user)}; sessions ended: {len(ended)}")
    _show_revoked(settings, ended)


@users.command()
@click.argument("username")
def unrestrict(username: str) -> None:
    """Let a user see the whole site again.

    With the user's own role. Ends all sessions of the user.
    """
    settings = load_settings()
    with console_audit(settings):
        user = _find(username)
        ended = restrict_to(user, None)
        click.echo(f"{username} is {user.role.name} of the whole site; sessions ended: {len(ended)}")
    _show_revoked(settings, ended)


@users.command("list")
def list_() -> None:
    """List users with role and last login."""
    with sql_database(load_settings()):
        for user in db.session.scalars(select(User).order_by(User.username)):
            seen = shown_time(user.last_login_at) or "never"
            state = "" if user.active else ", disabled"
            role = f"restricted to {zones_text(user)}" if user.restricted else user.role.name
            click.echo(f"{user.username}  {role}{state}  last login {seen}")


def _find(username: str) -> User:
    user = find_user(username)
    if user is None:
        raise ConfigError(f"unknown user {username!r}")
    return user


def _password(from_stdin: bool) -> str:
    """The new password. Raises ConfigError for one of the wrong length."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise ConfigError(
            f"the password has {len(password)} characters; it needs {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH}"
        )
    return password


def _show_revoked(settings: Settings, families: list[str]) -> None:
    """Tell the realtime gateway which sessions ended. If Redis is unavailable, the worker does it later."""
    if not settings.redis_address or not families:
        return
    with (
        suppress(redis.RedisError),
        redis.Redis.from_url(
            settings.redis_address,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            decode_responses=True,
        ) as client,
    ):
        revocation.mark_revoked(client, families)
