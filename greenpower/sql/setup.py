"""Setting up the SQL database: migrations, roles, the first administrator. Every step may be repeated, also by two
processes at once. All of it needs an app context.
"""

from __future__ import annotations

from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import IntegrityError

from greenpower.config import ConfigError
from greenpower.sql.alembic_config import alembic_config
from greenpower.sql.extensions import db
from greenpower.sql.password import hash_password
from greenpower.sql.role import DESCRIPTIONS, Role, RoleName
from greenpower.sql.user import USERNAME, User, find_user


def newest_revision() -> str | None:
    """The revision that the code expects."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def current_revision(connection: Connection) -> str | None:
    """The revision that the database has; None before the first migration."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def upgrade() -> str | None:
    """Apply the missing migrations. Returns the new revision, None where there was nothing to do.

    Raises ConfigError where the database is newer than the code.
    """
    with db.engine.connect() as connection:
        before = current_revision(connection)
    try:
        command.upgrade(alembic_config(), "head")
    except CommandError as error:
        raise ConfigError(f"the SQL database cannot be migrated: {error}") from None
    with db.engine.connect() as connection:
        after = current_revision(connection)
    return after if after != before else None


def make_roles() -> list[str]:
    """Make the roles that are missing. Returns their names."""
    made = []
    for name in RoleName:
        if db.session.scalar(select(Role.id).where(Role.name == name)) is None:
            db.session.add(Role(name=name.value, description=DESCRIPTIONS[name]))
            if _commit():
                made.append(name.value)
    return made


def make_user(username: str, password: str, role: RoleName, *, restricted: bool = False) -> bool:
    """Make a user unless the name is taken; an existing user is not changed. restricted: one that sees nothing until
    it gets service zones. Raises ConfigError for a bad name."""
    if not USERNAME.fullmatch(username):
        raise ConfigError(f"a user cannot be called {username!r}: 1 to 150 letters, digits and . @ + - _")
    if find_user(username) is not None:
        return False
    role_id = db.session.scalars(select(Role.id).where(Role.name == role)).one()
    db.session.add(
        User(username=username, password_hash=hash_password(password), role_id=role_id, restricted=restricted)
    )
    return _commit()


def _commit() -> bool:
    """Commit; False where another process was first."""
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return False
    return True
