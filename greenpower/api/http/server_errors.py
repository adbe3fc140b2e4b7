"""Errors that the server answers before the app sees the request: the same shape as all others.

A request line or a header that is too long, and what is no HTTP, never reach Flask. gunicorn has no hook for their
answer, so the function that writes it is replaced in the server's process.
"""

from __future__ import annotations

from typing import Any

from gunicorn import util

from greenpower.api.http.json import encode

TEXTS = {
    400: "This is not a valid HTTP request.",
    414: "The address is too long. Name fewer devices or fields, or ask in several requests.",
    431: "The headers are too long, or too many.",
    500: "Internal error. It has been logged.",
}


def use_error_shape() -> None:
    """Let gunicorn answer errors as the API does, in this process and those that it forks."""
    util.write_error = write_error


def write_error(sock: Any, status: int, reason: str, text: str) -> None:
    """Write an error to a socket, and that the connection ends. text: what gunicorn says of it."""
    util.write_nonblock(sock, error_bytes(status, reason, text))


def error_bytes(status: int, reason: str, text: str) -> bytes:
    """An HTTP response of an error, whole."""
    message = f"{TEXTS[status]} {text}".strip() if status == 400 else TEXTS.get(status, text or reason)
    body = encode({"code": status, "status": reason, "message": message, "errors": {}})
    lines = (
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "X-Content-Type-Options: nosniff",
        "\r\n",
    )
    return "\r\n".join(lines).encode("latin-1") + body
