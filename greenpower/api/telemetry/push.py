"""`/api/ingest/<claim>/`: frames that are pushed, handed on to ingest, whose answer is the answer.

Where nginx stands before both, it hands them on itself and this is not asked. What belongs here: handing on, and the
description for the schema. What does not: keys, frames, limits (`greenpower.ingest.sources.http`).
"""

from __future__ import annotations

import http.client
from threading import BoundedSemaphore
from typing import Any

import marshmallow as ma
from flask import Response, request
from werkzeug.wrappers import Response as BaseResponse

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import problem
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID
from greenpower.config import Settings

# Of a process's threads: a MongoDB that hangs must not take them all.
MAX_PUSHES_AT_ONCE = 8
PUSH_RETRY_SECONDS = 5
# Longer than ingest takes to answer.
PUSH_MARGIN_SECONDS = 5
HANDED_ON = ("Content-Type", "Content-Encoding", "Authorization", "X-API-Key", "X-Redelivered")
HANDED_BACK = ("Content-Type", "Retry-After", "WWW-Authenticate", "Cache-Control")
ANY_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
PUSH_DESCRIPTION = """Needs a key for pushing (`/api/push-keys/`), as `Authorization: Bearer <key>`, as the password of
`Authorization: Basic`, as `X-API-Key`, or as parameter `key` where no header can be set. The body is one frame, in the
form that the data type reads; with `Content-Type: application/x-ndjson` each line is one; the fields of a form are one.
The answer comes once all frames are stored for good. A bad frame costs only itself: `rejections` says which and why.
After any other answer, or none, send all of it again; with `X-Redelivered: 1`, frames without time or id of their own
are compared with those sent before."""
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object", "example": {"id": EXAMPLE_DEVICE_ID, "power": 1.5}}},
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
    },
}
KEY_SCHEME: list[dict[str, list[str]]] = [{"push_key": []}, {"push_key_in_address": []}]
push_slots = BoundedSemaphore(MAX_PUSHES_AT_ONCE)


class RejectionSchema(ma.Schema):
    """A frame that was rejected."""

    line = ma.fields.Integer(required=True, metadata=describe("number of the frame in the body, from 1", example=2))
    reason = ma.fields.String(required=True, metadata=describe("why, as a code", example="not-json"))
    detail = ma.fields.String(required=True, metadata=describe("why, as text"))


class PushAnswer(ma.Schema):
    """What became of the frames."""

    frames = ma.fields.Integer(required=True, metadata=describe("frames in the body", example=2))
    stored = ma.fields.Integer(required=True, metadata=describe("those that added something", example=1))
    duplicate = ma.fields.Integer(required=True, metadata=describe("those that were stored before", example=0))
    noted = ma.fields.Integer(required=True, metadata=describe("those that are no readings, by design", example=0))
    rejected = ma.fields.Integer(required=True, metadata=describe("those that cannot be read", example=1))
    rejections = ma.fields.List(
        ma.fields.Nested(RejectionSchema), required=True, metadata=describe("the first hundred of these")
    )


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("ingest", __name__, url_prefix="/api/ingest", description="Pushing frames")
    path = "/<string:claim>/"

    @blueprint.route(path, methods=["POST"])
    @blueprint.doc(description=PUSH_DESCRIPTION, requestBody=BODY, security=KEY_SCHEME)
    @blueprint.errors(401, 403, 404, 413, 415, 422, 429, 503)
    @blueprint.response(200, PushAnswer)
    def push_frames(claim: str) -> BaseResponse:
        """Push frames"""
        return _hand_on(claim)

    @blueprint.route(path)
    @blueprint.doc(security=KEY_SCHEME)
    @blueprint.errors(401, 403, 404, 422, 429, 503)
    @blueprint.response(200, PushAnswer)
    def push_parameters(claim: str) -> BaseResponse:
        """Push one frame as parameters

        For devices that can only call an address: the parameters, but for `key`, are the frame, a JSON object of texts.
        """
        return _hand_on(claim)

    return blueprint


def _hand_on(claim: str) -> BaseResponse:
    settings = get_context().settings
    if not settings.push_port:
        return problem(503, "Pushes are not taken here: PUSH_PORT is not set.")
    if not push_slots.acquire(blocking=False):
        return _unavailable("Too many pushes are waiting.")
    try:
        return _ask_ingest(settings, claim)
    except (OSError, http.client.HTTPException):
        return _unavailable("Ingest does not answer. Send the frames again.")
    finally:
        push_slots.release()


def _ask_ingest(settings: Settings, claim: str) -> BaseResponse:
    """The answer of ingest to this request. Raises OSError or HTTPException where there is none."""
    body = request.get_data(cache=False)
    headers = {name: value for name in HANDED_ON if (value := request.headers.get(name)) is not None}
    headers |= {"X-Forwarded-For": request.remote_addr or "", "Connection": "close"}
    query = request.query_string.decode("ascii", "replace")
    connection = http.client.HTTPConnection(
        ANY_HOSTS.get(settings.push_host, settings.push_host),
        settings.push_port,
        timeout=settings.push_answer_seconds + PUSH_MARGIN_SECONDS,
    )
    try:
        connection.request(request.method, f"/api/ingest/{claim}/?{query}", body or None, headers)
        answered = connection.getresponse()
        response = Response(answered.read(), answered.status)
        for name in HANDED_BACK:
            if (value := answered.getheader(name)) is not None:
                response.headers[name] = value
        return response
    finally:
        connection.close()


def _unavailable(message: str) -> Response:
    return problem(503, message, headers={"Retry-After": str(PUSH_RETRY_SECONDS)})
