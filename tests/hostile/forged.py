"""Tokens that the system did not make, each beside a true one from which it differs in one thing."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt

Claims = dict[str, Any]
KEY = "j" * 40
OTHER_KEY = "k" * 40


def _with(**changes: Any) -> Callable[[str], str]:
    """Signed with the right key, with other claims; a claim that is None is left out."""

    def forge(token: str) -> str:
        claims = {**_claims(token), **changes}
        return jwt.encode({name: value for name, value in claims.items() if value is not None}, KEY, "HS256")

    return forge


def _claims(token: str) -> Claims:
    found: Claims = jwt.decode(token, options={"verify_signature": False})
    return found


def _part(value: Claims | bytes) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unsigned(algorithm: str) -> Callable[[str], str]:
    return lambda token: f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{token.split('.')[1]}."


def _signed(algorithm: str, digest: str, key: str) -> Callable[[str], str]:
    def forge(token: str) -> str:
        text = f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{token.split('.')[1]}"
        return f"{text}.{_part(hmac.digest(key.encode(), text.encode(), digest))}"

    return forge


def _raised(token: str) -> str:
    """The claims changed, the signature kept."""
    head, _, signature = token.split(".")
    return f"{head}.{_part({**_claims(token), 'role': 'admin', 'sub': '2', 'exp': 2**33})}.{signature}"


def _nested(token: str) -> str:
    deep = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    return f"{token.split('.')[0]}.{_part(deep)}.{token.split('.')[2]}"


FORGERIES: dict[str, Callable[[str], str]] = {
    "alg none": _unsigned("none"),
    "alg NONE": _unsigned("NONE"),
    "alg none, signature kept": lambda token: _unsigned("none")(token) + token.split(".")[2],
    "no signature": lambda token: token.rsplit(".", 1)[0] + ".",
    "another key": _signed("HS256", "sha256", OTHER_KEY),
    "an empty key": _signed("HS256", "sha256", ""),
    "another algorithm, right key": _signed("HS512", "sha512", KEY),
    "claims changed": _raised,
    "expired": _with(exp=int(time.time()) - 5),
    "no expiry": _with(exp=None),
    "not valid yet": _with(nbf=int(time.time()) + 3600),
    "another issuer": _with(iss="somebody"),
    "no issuer": _with(iss=None),
    "another type": _with(type="refresh"),
    "no family": _with(fam=None),
    "a family that is a list": _with(fam=["a"]),
    "a subject that is no text": _with(sub={"a": 1}),
    "no subject": _with(sub=None),
    "one part": lambda token: token.split(".")[0],
    "four parts": lambda token: token + ".a",
    "empty parts": lambda _: "..",
    "garbage": lambda _: "not-a-token",
    "bytes": lambda _: "\x80\xff.\xa1.\xa2",
    "claims that are a list": lambda token: f"{token.split('.')[0]}.{_part(b'[1]')}.{token.split('.')[2]}",
    "seven thousand more": lambda token: token + "a" * 7000,
}
# For a door that takes more than a header's 8 KiB.
LONG_FORGERIES: dict[str, Callable[[str], str]] = {"nested": _nested, "long": lambda token: token + "a" * 60_000}
