"""Addresses of channels: which kinds are allowed, and what of one may be shown. Pure; without apprise.

Allowed are services on the network only. apprise knows kinds besides that run on this machine (desktop notifications,
syslog, serial devices), and options that read local files or follow redirects: none of them is taken.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

MAIL_SCHEMES = frozenset({"mailto", "mailtos"})
HTTP_SCHEMES = frozenset({"form", "forms", "json", "jsons", "xml", "xmls"})
ALLOWED_SCHEMES = frozenset(
    {
        *MAIL_SCHEMES, *HTTP_SCHEMES,
        "discord", "gchat", "gotify", "gotifys", "hassio", "hassios", "matrix", "matrixs", "mmost", "mmosts", "ntfy",
        "ntfys", "opsgenie", "pagerduty", "pbul", "pover", "rocket", "rockets", "signal", "signals", "slack", "tgram",
        "twilio", "workflow", "workflows", "wxteams", "zulip",
    }
)  # fmt: skip
# Options of an address. `+`, `-` and `:` begin a header, a parameter and a value of a webhook.
ALLOWED_OPTIONS = frozenset(
    {
        "auth", "bcc", "cc", "channel", "click", "footer", "format", "from", "group", "hmac", "id", "image", "key",
        "method", "mode", "name", "overflow", "path", "port", "preview", "priority", "region", "reply", "silent",
        "smtp", "sound", "status", "tags", "to", "token", "topic", "user", "v", "verify", "pass", "thread",
    }
)  # fmt: skip
WEBHOOK_PREFIXES = ("+", "-", ":")
SCHEME = re.compile(r"([a-z0-9]{2,16})://(.+)", re.DOTALL)
SHORTEST_SECRET = 3


class AddressError(ValueError):
    """An address that is not allowed. The text does not repeat it."""


def check_address(url: str) -> str:
    """The scheme of an address that may be used. Raises AddressError."""
    found = SCHEME.fullmatch(url)
    if found is None:
        raise AddressError("An address begins with its kind, such as mailtos:// or jsons://, and names a server.")
    if not url.isprintable() or " " in url:
        raise AddressError("An address has no blanks, line breaks or control characters.")
    scheme = found[1]
    if scheme not in ALLOWED_SCHEMES:
        raise AddressError(f"Addresses of the kind {scheme}:// are not allowed; choose from {_choices()}.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise AddressError("The address cannot be read.") from None
    if not parts.netloc:
        raise AddressError("The address names no server or account.")
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        is_webhooks = scheme in HTTP_SCHEMES and name.startswith(WEBHOOK_PREFIXES)
        # parse_qsl reads a `+` as a blank.
        if not is_webhooks and not name.startswith(" ") and name.lower() not in ALLOWED_OPTIONS:
            raise AddressError(f"The option {name[:40]!r} is not allowed in an address.")
    return scheme


def without_secrets(text: str, url: str) -> str:
    """A text without any part of an address but its scheme."""
    parts = urlsplit(url)
    pieces = {url, parts.netloc, parts.path, parts.query, *re.split(r"[/:@?&=,+]+", url.partition("://")[2])}
    pieces |= {unquote(piece) for piece in pieces}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= SHORTEST_SECRET:
            text = text.replace(piece, "***")
    return text


def _choices() -> str:
    return ", ".join(sorted(ALLOWED_SCHEMES))
