"""`greenpower init`: make the databases ready."""

from __future__ import annotations

import click
from pymongo.errors import PyMongoError
from sqlalchemy import make_url, select
from sqlalchemy.exc import DBAPIError

from greenpower.app import create_sql_app
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.extensions import db
from greenpower.log import set_up_logging
from greenpower.models import Role, RoleName, User
from greenpower.models.setup import make_roles, make_user, upgrade
from greenpower.registry import get_registry
from greenpower.store.client import sync_client
from greenpower.store.layout import ensure_indexes

SHORTEST_PASSWORD = 12


@click.command()
def init() -> None:
    """Make the databases ready: tables, roles, the administrator, indexes. Safe to repeat, also at the same time."""
    settings = load_settings()
    settings.check_production()
    set_up_logging("WARNING")
    done = [*init_sql(settings), *init_mongo(settings)]
    for line in done:
        click.echo(line)
    click.echo(f"{len(done)} changes" if done else "nothing to do")


def init_sql(settings: Settings) -> list[str]:
    """Bring the user database up to date. Returns a line for each change. Raises ConfigError."""
    url = make_url(settings.sql_url)
    if url.get_backend_name() == "sqlite":
        settings.greenpower_home.mkdir(parents=True, exist_ok=True)
    done = []
    try:
        with create_sql_app(settings).app_context():
            if revision := upgrade():
                done.append(f"SQL: migrated to {revision}")
            done.extend(f"SQL: role {name} made" for name in make_roles())
            if not _has_admin() and make_user(settings.admin_username, _admin_password(settings), RoleName.ADMIN):
                done.append(f"SQL: user {settings.admin_username} made, an administrator")
            db.engine.dispose()
    except DBAPIError as error:
        # The driver's own text, one line; SQLAlchemy's has the statement and a link.
        raise ConfigError(f"SQL at {url.render_as_string()}: {' '.join(str(error.orig).split())}") from None
    return done


def init_mongo(settings: Settings) -> list[str]:
    """Bring the telemetry database's indexes up to date. Returns a line if any changed. Raises ConfigError."""
    try:
        with sync_client(settings) as client:
            changes = ensure_indexes(client[settings.mongo_db_name], get_registry(), settings)
    except PyMongoError as error:
        raise ConfigError(f"MONGO_DB_URI: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from None
    return [f"Mongo: {len(changes)} indexes made or retentions changed"] if changes else []


def _has_admin() -> bool:
    query = select(User.id).join(Role).where(Role.name == RoleName.ADMIN).limit(1)
    return db.session.scalar(query) is not None


def _admin_password(settings: Settings) -> str:
    password = settings.need("ADMIN_PASSWORD")
    if settings.environment == "prod" and len(password) < SHORTEST_PASSWORD:
        raise ConfigError(f"ADMIN_PASSWORD is shorter than {SHORTEST_PASSWORD} characters: ENVIRONMENT=prod refuses it")
    return password
