"""What a view reaches of the app it runs in."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app
from pymongo.database import Database
from redis import Redis

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.handle import Mongo

KEY = "greenpower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of an app. redis: None where none is configured."""

    settings: Settings
    registry: Registry
    mongo: Mongo
    redis: Redis | None = None


def set_context(app: Flask, context: Context) -> None:
    """Give an app its parts."""
    app.extensions[KEY] = context


def get_context() -> Context:
    """The parts of the current app."""
    context = current_app.extensions[KEY]
    assert isinstance(context, Context)
    return context


def database() -> Database[Document]:
    """The telemetry database."""
    return get_context().mongo.database
