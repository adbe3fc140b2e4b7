"""`/api/docs/` and `/api/schema/`: the documentation of the API, as a page and as an OpenAPI text. Nothing in it is
loaded from elsewhere."""

from __future__ import annotations

from functools import cache

import flask
from flask_swagger_ui import get_swaggerui_blueprint

from greenpower.api.http.cache import with_etag
from greenpower.api.http.errors import Api
from greenpower.api.http.json import encode
from greenpower.api.http.openapi import complete

DOCS = "/api/docs"
SCHEMA = "/api/schema/"
SWAGGER_OPTIONS = {
    "app_name": "Green Power API",
    "docExpansion": "list",
    # Otherwise the page would ask a validator on the internet.
    "validatorUrl": None,
    # Otherwise the page would contain the Host that the request named.
    "oauth2RedirectUrl": f"{DOCS}/oauth2-redirect.html",
}


def make_blueprints(api: Api) -> tuple[flask.Blueprint, ...]:
    """The Swagger page with its assets, and the schema it shows."""
    schema = flask.Blueprint("schema", __name__)

    @cache
    def text() -> bytes:
        return encode(complete(api.spec.to_dict()))

    @schema.route(SCHEMA)
    def show_schema() -> flask.Response:
        return with_etag(flask.Response(text(), mimetype="application/json"))

    return schema, get_swaggerui_blueprint(DOCS, SCHEMA, config=SWAGGER_OPTIONS)
