"""JSON frames: strict decoding with limits.

What belongs here: from bytes to an object. What does not: which of its values are which (`json_parser`).
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from greenpower.datatype.error import FrameError

MAX_DEPTH = 8
MAX_KEYS = 2_000
MAX_MEMBERS = 10_000
MAX_DIGITS = 300
ESCAPED_COLON = b"\\u003"


def decode_object(payload: bytes) -> dict[str, Any]:
    """The JSON object in a payload.

    NaN, Infinity and numbers beyond a float become such floats, so that only these values are left out later. Raises
    FrameError: not-utf8, not-json, not-object, duplicate-keys, too-many-keys, too-deep.
    """
    try:
        decoded = orjson.loads(payload)
    except orjson.JSONDecodeError:
        decoded = _decode_slowly(payload)
    if type(decoded) is not dict:
        raise FrameError("not-object", f"a JSON {type(decoded).__name__}")
    if len(decoded) > MAX_KEYS:
        raise FrameError("too-many-keys", f"{len(decoded)} keys")
    # Each member has one colon. With as many colons as members, and no bracket but the first, no key is repeated and
    # nothing is nested. Everything else is checked in full.
    if payload.count(b":") != len(decoded) or payload.rfind(b"{") > 0 or payload.rfind(b"[") >= 0:
        _check_structure(decoded, payload)
    return decoded


def _check_structure(top: dict[str, Any], payload: bytes) -> None:
    """Raise FrameError duplicate-keys, too-many-keys or too-deep if the object is so."""
    if payload.count(b"{") + payload.count(b"[") > MAX_MEMBERS:
        raise FrameError("too-many-keys", f"more than {MAX_MEMBERS} objects and lists")
    colons = members = 0
    level: list[Any] = [top]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                members += len(value)
                colons += len(value) + sum(key.count(":") for key in value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str):
                colons += value.count(":")
        if members > MAX_MEMBERS:
            raise FrameError("too-many-keys", f"more than {MAX_MEMBERS} keys")
        level = below
    if level:
        raise FrameError("too-deep", f"nested more than {MAX_DEPTH} levels")
    if colons != payload.count(b":") or ESCAPED_COLON in payload:
        _decode_slowly(payload)


def _decode_slowly(payload: bytes) -> Any:
    """Decode what orjson rejects or does not report: NaN, very large numbers, repeated keys."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FrameError("not-utf8", str(error)) from None
    try:
        return json.loads(text, parse_int=_integer, object_pairs_hook=_unique)
    except RecursionError:
        raise FrameError("too-deep", f"nested more than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise FrameError("not-json", str(error)) from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < MAX_DIGITS else float("inf")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise FrameError("duplicate-keys", f"repeated keys in an object with {len(pairs)} members")
    return found
