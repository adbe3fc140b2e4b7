"""`greenpower init`: make the databases ready."""

from __future__ import annotations

import click
from pymongo.errors import PyMongoError
from sqlalchemy import make_url, select
from sqlalchemy.exc import DBAPIError

from greenpower.app import sql_context
from greenpower.catalog.registry import load_registry
from greenpower.cli.console import console_actor
from greenpower.cli.migrate import apply_steps
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.log import set_up_logging
from greenpower.mongo.client import sync_client
from greenpower.mongo.handle import check_address
from greenpower.mongo.schema.layout import EVENTS, ensure_indexes
from greenpower.mongo.schema.version import check_at_start
from greenpower.private_files import close_to_others, make_private_folder, private_files, sqlite_files
from greenpower.sql import Role, RoleName, User
from greenpower.sql.actor import acting
from greenpower.sql.extensions import db
from greenpower.sql.password import MIN_PASSWORD_LENGTH
from greenpower.sql.setup import current_revision, make_roles, make_user, upgrade
from greenpower.sql.user import find_user

NO_USERS = (
    "warning: MongoDB has telemetry, but the SQL database is new: users, API keys, device names, zones and audit are "
    "not there. Where they were there before, stop and restore a backup; see docs/operations.md"
)


@click.command()
def init() -> None:
    """Set up the databases, or update them.

    Migrates both, makes roles, the administrator and indexes. Can be repeated, and run several times at once.
    """
    settings = load_settings()
    settings.check_production()
    set_up_logging("WARNING")
    check_at_start(settings, quiet=True)
    is_new = _is_sql_new(settings)
    done = [*init_sql(settings), *init_mongo(settings)]
    if is_new and has_telemetry(settings):
        click.echo(NO_USERS, err=True)
    for line in done:
        click.echo(line)
    click.echo(f"{len(done)} changes" if done else "no changes")


def init_sql(settings: Settings) -> list[str]:
    """Bring the user database up to date. Returns a line for each change. Raises ConfigError."""
    make_private_folder(settings.greenpower_home)
    done = []
    if closed := close_to_others(settings.greenpower_home, *sqlite_files(settings.sql_url)):
        done.append(f"home: {closed} files and folders closed to other users of this machine")
    try:
        with private_files(), sql_context(settings), acting(console_actor()):
            if revision := upgrade():
                done.append(f"SQL: migrated to {revision}")
            done.extend(f"SQL: role {name} created" for name in make_roles())
            if not _has_admin():
                done.extend(_first_admin(settings))
    except DBAPIError as error:
        # The driver's own text, one line; SQLAlchemy's has the statement and a link.
        where = make_url(settings.sql_url).render_as_string()
        raise ConfigError(f"SQL at {where}: {' '.join(str(error.orig).split())}") from None
    return done


def init_mongo(settings: Settings) -> list[str]:
    """Bring the telemetry database's documents and indexes up to date. Returns a line for each change.

    Waits where another process is migrating. Raises ConfigError.
    """
    check_address(settings)
    registry = load_registry(settings.greenpower_site, settings.greenpower_plugins)
    _, applied = apply_steps(settings)
    try:
        with sync_client(settings) as client:
            changes = ensure_indexes(client[settings.mongo_db_name], registry, settings)
    except PyMongoError as error:
        raise ConfigError(f"MONGO_DB_URI: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from None
    lines = [f"MongoDB: {text}" for text in applied]
    return [*lines, f"MongoDB: {len(changes)} indexes made or retentions changed"] if changes else lines


def _is_sql_new(settings: Settings) -> bool:
    """Whether the user database has never been set up, or is empty again. False where it cannot be asked."""
    make_private_folder(settings.greenpower_home)
    try:
        with private_files(), sql_context(settings), db.engine.connect() as connection:
            return current_revision(connection) is None
    except DBAPIError:
        return False


def has_telemetry(settings: Settings) -> bool:
    """Whether MongoDB has frames or readings."""
    collections = (
        EVENTS,
        *(datatype.collection for datatype in load_registry(settings.greenpower_site, settings.greenpower_plugins)),
    )
    with sync_client(settings) as client:
        telemetry = client[settings.mongo_db_name]
        return any(telemetry[name].find_one({}, {"_id": 1}) is not None for name in collections)


def _has_admin() -> bool:
    query = select(User.id).join(Role).where(Role.name == RoleName.ADMIN).limit(1)
    return db.session.scalar(query) is not None


def _first_admin(settings: Settings) -> list[str]:
    """A line that says what became of the first administrator."""
    if not settings.admin_password.get_secret_value():
        name = settings.admin_username
        return [
            "SQL: nobody can log in yet: set ADMIN_PASSWORD and run this again, or "
            f"`greenpower users create {name} --role admin`"
        ]
    return [f"SQL: user {settings.admin_username} created, an administrator"] if _make_admin(settings) else []


def _make_admin(settings: Settings) -> bool:
    """Make the first administrator; False where another process was faster."""
    made = make_user(settings.admin_username, _admin_password(settings), RoleName.ADMIN)
    user = find_user(settings.admin_username)
    if user is None or user.role.name != RoleName.ADMIN:
        raise ConfigError(
            f"ADMIN_USERNAME: {settings.admin_username!r} is there and is {user and user.role.name}, no administrator"
        )
    return made


def _admin_password(settings: Settings) -> str:
    password = settings.need("ADMIN_PASSWORD")
    if settings.environment == "prod" and len(password) < MIN_PASSWORD_LENGTH:
        raise ConfigError(
            f"ADMIN_PASSWORD is shorter than {MIN_PASSWORD_LENGTH} characters: ENVIRONMENT=prod refuses it"
        )
    return password
