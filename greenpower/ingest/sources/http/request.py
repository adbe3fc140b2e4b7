"""What the head of a push says: which claim, whose key, and in which form the frames come. Pure.

    POST /api/ingest/<claim>/     the body is a frame; lines of JSON (NDJSON) are a frame each; of a form, its fields
    GET /api/ingest/<claim>/?…    the parameters are a frame, a JSON object of texts

What does not belong here: whether the key is good (`access`), cutting the body (`body`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

import h11
import orjson

PUSH_PATH = re.compile(r"/api/(?:v1/)?ingest/([a-z0-9][a-z0-9_-]{0,62})/?")
LINE_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_PARAMETERS = 500
#: the parameter that has the key, for senders that can set no header
KEY_PARAMETER = "key"
REDELIVERED_HEADER = "x-redelivered"


class PushRefusedError(Exception):
    """A push is refused. status: of HTTP. retry_after: in seconds, where it may be sent again."""

    def __init__(self, status: int, message: str, *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class PushForm(StrEnum):
    """What is a frame in a push."""

    BODY = "body"
    LINES = "lines"
    PARAMETERS = "parameters"
    QUERY = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushHead:
    """The head of a push. key: as it was given; None where there is none. forwarded: addresses of `X-Forwarded-For`.
    length: of the body in bytes, None where it is not said. redelivered: whether the sender says that it sent the same
    before."""

    claim: str
    key: str | None
    form: PushForm
    query: tuple[tuple[str, str], ...]
    length: int | None
    redelivered: bool
    forwarded: tuple[str, ...]


def read_head(request: h11.Request) -> PushHead:
    """The head of a request. Raises PushRefusedError."""
    path, _, query = request.target.decode("ascii", "replace").partition("?")
    found = PUSH_PATH.fullmatch(path)
    if found is None:
        raise PushRefusedError(404, "Frames are pushed to /api/ingest/<claim>/.")
    method = request.method.decode()
    if method not in ("POST", "PUT", "GET"):
        raise PushRefusedError(405, "Frames are pushed with POST, or with GET as parameters.")
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
    if headers.get("content-encoding", "identity") != "identity":
        raise PushRefusedError(415, "The body must not be compressed.")
    parameters = _parameters(query)
    length = headers.get("content-length")
    return PushHead(
        claim=found[1],
        key=_key(headers) or dict(parameters).get(KEY_PARAMETER),
        form=PushForm.QUERY if method == "GET" else _form(headers.get("content-type", "")),
        query=tuple(pair for pair in parameters if pair[0] != KEY_PARAMETER),
        length=int(length) if length is not None else None,
        redelivered=headers.get(REDELIVERED_HEADER, "").lower() in ("1", "true"),
        forwarded=tuple(part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()),
    )


def frame_of_parameters(pairs: Sequence[tuple[str, str]]) -> bytes:
    """The frame that parameters are. Raises PushRefusedError where there is none, or a name is given twice."""
    values = dict(pairs)
    if not values:
        raise PushRefusedError(422, "There are no parameters, so there is no frame.")
    if len(values) < len(pairs):
        raise PushRefusedError(422, "A parameter is given twice.")
    try:
        return orjson.dumps(values)
    except TypeError:
        raise PushRefusedError(422, "The parameters are not text in UTF-8.") from None


def frame_of_form(body: bytes) -> bytes:
    """The frame that the fields of a form are. Raises PushRefusedError."""
    return frame_of_parameters(_parameters(body.decode("utf-8", "replace")))


def _parameters(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise PushRefusedError(422, f"There are more than {MAX_PARAMETERS} parameters.") from None


def _form(content_type: str) -> PushForm:
    kind = content_type.partition(";")[0].strip().lower()
    if kind in LINE_TYPES:
        return PushForm.LINES
    return PushForm.PARAMETERS if kind == FORM_TYPE else PushForm.BODY


def _key(headers: dict[str, str]) -> str | None:
    """The key in the headers: `Authorization: Bearer`, `Authorization: Basic` as password, or `X-API-Key`."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given, validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return headers.get("x-api-key")
