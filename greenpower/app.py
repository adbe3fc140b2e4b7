"""The Flask app: the one place where the API is wired. `create_app` opens no connection: it may run before a fork."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from flask import Flask
from redis import RedisError
from sqlalchemy.exc import ArgumentError

from greenpower import __version__
from greenpower.api.accounts import api_keys, login, me, push_keys, users
from greenpower.api.accounts.restriction import init_visible
from greenpower.api.accounts.revocation_cache import redis_client
from greenpower.api.accounts.token import ACCESS_LIFETIME, REFRESH_LIFETIME
from greenpower.api.alarms import kinds, occurrences, rules, silences
from greenpower.api.devices import commands, devices, findings, zones
from greenpower.api.devices.device import DeviceConverter, path_parameter
from greenpower.api.energy import (
    corrections,
    device_corrections,
    device_incidents,
    divisors,
    emission_factors,
    energy,
    incidents,
    periods,
    points,
    report_schedules,
    tariffs,
)
from greenpower.api.http.auth import init_auth
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.compression import init_compression
from greenpower.api.http.context import Context, set_context
from greenpower.api.http.errors import Api, register_errors
from greenpower.api.http.headers import init_headers
from greenpower.api.http.json import OrjsonProvider
from greenpower.api.http.openapi import SECURITY_SCHEMES
from greenpower.api.http.rate_limit import init_limits
from greenpower.api.http.request_metrics import init_request_metrics
from greenpower.api.http.version import init_versions
from greenpower.api.notifications import channels as notification_channels
from greenpower.api.notifications import log as notification_log
from greenpower.api.outbound import targets as outbound_targets
from greenpower.api.system import audit, docs, health, metrics, rollups
from greenpower.api.telemetry import data_types, events, imports, push, resource
from greenpower.archive.database import open_database
from greenpower.bus.visibility import write_visible
from greenpower.catalog.registry import Registry, load_registry
from greenpower.config import ConfigError, Settings
from greenpower.dashboard import blueprint as dashboard
from greenpower.mongo.handle import Mongo, check_address
from greenpower.sql.extensions import db, engine_options, init_sql
from greenpower.sql.restriction import devices_of_all, take_change
from greenpower.sql.setup import newest_revision

MAX_BODY_BYTES = 64 * 1024
# The resources that need nothing but the app, in the order of the documentation.
RESOURCES: tuple[Callable[[], Blueprint], ...] = (
    login.make_blueprint,
    me.make_blueprint,
    me.make_role_blueprint,
    users.make_blueprint,
    api_keys.make_blueprint,
    push_keys.make_blueprint,
    devices.make_blueprint,
    commands.make_blueprint,
    findings.make_blueprint,
    zones.make_blueprint,
    points.make_blueprint,
    energy.make_blueprint,
    periods.make_blueprint,
    tariffs.make_blueprint,
    emission_factors.make_blueprint,
    report_schedules.make_blueprint,
    divisors.make_blueprint,
    notification_channels.make_blueprint,
    notification_log.make_blueprint,
    occurrences.make_blueprint,
    rules.make_blueprint,
    silences.make_blueprint,
    kinds.make_blueprint,
    outbound_targets.make_blueprint,
    data_types.make_blueprint,
    incidents.make_blueprint,
    device_incidents.make_blueprint,
    corrections.make_blueprint,
    device_corrections.make_blueprint,
    rollups.make_blueprint,
    audit.make_blueprint,
    events.make_blueprint,
    imports.make_blueprint,
    push.make_blueprint,
)
API_DESCRIPTION = """Telemetry of energy meters, stations, generators and gateways.

Log in at `/api/users/token/` and send the access token with every request; to read, an API key will do. Times are UTC.
Lists are paged. All errors have the shape `{"code", "status", "message", "errors"}`."""


def flask_config(settings: Settings) -> dict[str, Any]:
    """The configuration of Flask and of all its extensions."""
    url = settings.sql_url
    return {
        "SECRET_KEY": settings.secret_key.get_secret_value() or None,
        "MAX_CONTENT_LENGTH": MAX_BODY_BYTES,
        "PROPAGATE_EXCEPTIONS": False,
        "SQLALCHEMY_DATABASE_URI": url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(url),
        "JWT_SECRET_KEY": settings.jwt_signing_key.get_secret_value(),
        "JWT_ACCESS_TOKEN_EXPIRES": ACCESS_LIFETIME,
        "JWT_REFRESH_TOKEN_EXPIRES": REFRESH_LIFETIME,
        "JWT_TOKEN_LOCATION": ["headers"],
        "JWT_ENCODE_ISSUER": "greenpower",
        "JWT_DECODE_ISSUER": "greenpower",
        "JWT_ENCODE_NBF": False,
        "API_TITLE": "Green Power",
        "API_VERSION": __version__,
        "OPENAPI_VERSION": "3.1.0",
        "API_SPEC_OPTIONS": {
            "info": {
                "description": API_DESCRIPTION,
                "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
            },
            "components": {
                "securitySchemes": SECURITY_SCHEMES,
            },
        },
    }


def create_sql_app(settings: Settings) -> Flask:
    """An app with only the user database, for commands. Raises ConfigError for an unusable address."""
    app = Flask("greenpower", static_folder=None)
    app.config.from_mapping(flask_config(settings))
    try:
        init_sql(app)
    except ArgumentError:
        raise ConfigError("DATABASE_URL is not the address of a database that SQLAlchemy supports") from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"DATABASE_URL needs a driver that is not installed: {error.name}") from None
    return app


@contextmanager
def sql_context(settings: Settings) -> Iterator[Flask]:
    """A context with the user database. Leaves no connection open. Raises ConfigError as `create_sql_app`."""
    app = create_sql_app(settings)
    with app.app_context():
        try:
            yield app
            _copy_visible(settings)
        finally:
            db.session.remove()
            db.engine.dispose()


def _copy_visible(settings: Settings) -> None:
    """Tell the realtime gateway who may see which devices, if a command changed it. The worker does it later."""
    if not take_change(db.session) or not settings.redis_address:
        return
    with suppress(RedisError), redis_client(settings.redis_address) as client:
        write_visible(client, devices_of_all(db.session))


def create_app(settings: Settings, registry: Registry | None = None) -> Flask:
    """The API. registry: the data types it serves; None for all that are in force.

    Raises ConfigError if a setting is missing, RegistryError if the plugins cannot be used together.
    """
    for name in ("MONGO_DB_URI", "JWT_SIGNING_KEY"):
        settings.need(name)
    check_address(settings)
    if registry is None:
        registry = load_registry(settings.greenpower_site)
    app = create_sql_app(settings)
    app.json = OrjsonProvider(app)
    redis = redis_client(settings.redis_address) if settings.redis_address else None
    mongo = Mongo(settings, partial(open_database, datatypes=tuple(registry)))
    context = Context(settings=settings, registry=registry, mongo=mongo, redis=redis)
    set_context(app, context)
    register_errors(app)
    init_compression(app)
    init_headers(app, settings)
    init_auth(app)
    init_visible(app)

    api = Api(app)
    app.url_map.converters["device"] = DeviceConverter
    api.register_converter(DeviceConverter, path_parameter)
    with app.app_context():
        engine, revision = db.engine, newest_revision()
    api.register_blueprint(health.make_blueprint(context, engine, revision))
    for make_blueprint in RESOURCES:
        api.register_blueprint(make_blueprint())
    for datatype in registry:
        if datatype.endpoint is not None:
            api.register_blueprint(resource.make_blueprint(datatype))
    for blueprint in docs.make_blueprints(api):
        app.register_blueprint(blueprint)
    app.register_blueprint(dashboard.make_blueprint(settings))
    app.register_blueprint(metrics.make_blueprint())
    init_limits(app, settings)
    init_versions(app)
    init_request_metrics(app, settings.api_workers)
    return app
