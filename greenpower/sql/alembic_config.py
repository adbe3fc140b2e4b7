"""Alembic over the models: its settings for the app in force.

It is apart from the other extensions: migrating is the work of some commands, and Alembic costs every process that
imports it 10 MB. Workers and the scheduler do not import this module. The models do not belong here.
"""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from flask import current_app
from flask_migrate import Migrate

from greenpower.sql.extensions import db

# Beside the package, in a checkout as in site-packages: `migrations` is installed like `plugins`.
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def alembic_config() -> Config:
    """Alembic's settings. Needs an app context; binds the migrations to the app at the first call."""
    if "migrate" not in current_app.extensions:
        Migrate(current_app, db, directory=str(MIGRATIONS))
    config: Config = current_app.extensions["migrate"].migrate.get_config()
    return config
