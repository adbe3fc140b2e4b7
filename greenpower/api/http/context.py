"""What views can use of the app they run in: settings, data types, databases."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app
from pymongo.database import Database
from redis import Redis

from greenpower.api.http.visible_devices import visible_devices
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.handle import Mongo
from greenpower.mongo.visible import VisibleDatabase

CONTEXT_KEY = "greenpower.context"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an app has. redis: None if it is not configured."""

    settings: Settings
    registry: Registry
    mongo: Mongo
    redis: Redis | None = None


def set_context(app: Flask, context: Context) -> None:
    """Set the context of an app."""
    app.extensions[CONTEXT_KEY] = context


def get_context() -> Context:
    """The context of the current app."""
    context = current_app.extensions[CONTEXT_KEY]
    assert isinstance(context, Context)
    return context


def database() -> Database[Document]:
    """The telemetry database, as the caller may see it."""
    held, devices = whole_database(), visible_devices()
    return held if devices is None else VisibleDatabase(held, devices)


def whole_database() -> Database[Document]:
    """The telemetry database, with what the caller may not see. Only for what is chosen by other means:
    `tests/api/test_zones.py` names the modules that may use it."""
    return get_context().mongo.database
