"""Errors: one shape for all of them, `{"code", "status", "message", "errors"}`, always `application/json`.

What belongs here: that shape, and refusing parameters that are well formed but cannot be used.
"""

from __future__ import annotations

import logging
from typing import Any, NoReturn

import flask_smorest
import marshmallow as ma
from flask import Flask, Response
from pymongo.errors import ConnectionFailure, PyMongoError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from webargs.flaskparser import abort
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from greenpower.api.http.json import answer
from greenpower.archive.errors import ArchiveChangedError, ArchiveFileError

log = logging.getLogger(__name__)

DEFAULT_MESSAGES = {
    404: "Not found.",
    413: "The request body is too large.",
    422: "A parameter or a value in the body is not valid; see `errors`.",
    500: "Internal error. It has been logged.",
}


class ErrorSchema(ma.Schema):
    """An error."""

    code = ma.fields.Integer(required=True, metadata={"description": "HTTP status code", "example": 422})
    status = ma.fields.String(
        required=True, metadata={"description": "name of the HTTP status", "example": "Unprocessable Entity"}
    )
    message = ma.fields.String(required=True, metadata={"description": "what is wrong, as text"})
    errors = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(),
        metadata={"description": "what is wrong, by place (`query`, `json`) and parameter", "example": {}},
    )


def problem(
    code: int, message: str = "", errors: Any = None, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """An error response. more: further keys of the body."""
    status = HTTP_STATUS_CODES.get(code, "Unknown Error")
    text = message or DEFAULT_MESSAGES.get(code) or status
    response = answer({"code": code, "status": status, "message": text, "errors": errors or {}, **more}, code)
    response.headers.update(headers or {})
    if code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def abort_query(name: str, *messages: str) -> NoReturn:
    """Answer 422 for a parameter of the query."""
    abort(422, errors={"query": {name: [*messages]}})
    raise AssertionError("unreachable")


def abort_body(errors: dict[str, Any]) -> NoReturn:
    """Answer 422 for values of the body. errors: what is wrong with each, by name."""
    abort(422, errors={"json": errors})
    raise AssertionError("unreachable")


class Api(flask_smorest.Api):  # type: ignore[misc]
    """flask-smorest with this module's errors."""

    ERROR_SCHEMA = ErrorSchema

    def handle_http_exception(self, error: HTTPException) -> Response:
        data: dict[str, Any] = getattr(error, "data", None) or {}
        code = error.code or 500
        # What a view wrote, not what werkzeug says of every error of the kind.
        written = "" if error.description == type(error).description else error.description
        default = "" if code in DEFAULT_MESSAGES else (error.description or "")
        response = problem(code, data.get("message") or written or default, data.get("errors") or data.get("messages"))
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                response.headers[name] = value
        response.headers.update(data.get("headers") or {})
        return response


def register_errors(app: Flask) -> None:
    """Answer 503, not 500, if a database does not answer: the caller may try again."""

    @app.errorhandler(PyMongoError)
    def _mongo(error: PyMongoError) -> Response:
        if isinstance(error, ConnectionFailure) or error.timeout:
            log.warning("MongoDB: %s: %.300s", type(error).__name__, error)
            if error.timeout and not isinstance(error, ConnectionFailure):
                return problem(503, "The query took too long. Ask for fewer devices or a shorter time range.")
            return problem(503, "The telemetry database does not answer.", headers={"Retry-After": "5"})
        return _internal(error)

    @app.errorhandler(ArchiveFileError)
    @app.errorhandler(ArchiveChangedError)
    def _archive(error: Exception) -> Response:
        log.error("archive: %s", error)
        return problem(503, "Archived readings cannot be read now.", headers={"Retry-After": "30"})

    @app.errorhandler(OperationalError)
    @app.errorhandler(InterfaceError)
    @app.errorhandler(PoolTimeout)
    def _sql(error: Exception) -> Response:
        log.warning("SQL: %s: %.300s", type(error).__name__, getattr(error, "orig", None) or error)
        return problem(503, "The user database does not answer.", headers={"Retry-After": "5"})

    def _internal(error: Exception) -> Response:
        log.error("unhandled", exc_info=error)
        return problem(500)
