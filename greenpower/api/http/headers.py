"""What every answer carries: the request's id and what browsers may do with it; and whose word on addresses counts."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from uuid import uuid4

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from greenpower.config import Settings
from greenpower.log import request_id

ID_HEADER = "X-Request-ID"
# One that a proxy or a caller gave is kept, if it can do no harm in a log.
GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")
POLICY = "Content-Security-Policy"
NOTHING = "default-src 'none'; frame-ancestors 'none'"
# Swagger sets styles in its elements; its one inline script is allowed by its hash.
PAGE = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self'{hashes}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
YEAR = 365 * 86_400


def init_headers(app: Flask, settings: Settings) -> None:
    """Set an app's headers, the origins that browsers may call it from, and how many proxies stand before it."""
    if count := settings.api_trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    app.before_request(_take_id)
    app.after_request(_set_headers)
    if settings.cors_origins:
        CORS(
            app,
            resources=r"/api/*",
            origins=list(settings.cors_origins),
            allow_headers=["Authorization", "Content-Type", "If-None-Match", ID_HEADER],
            expose_headers=["ETag", "Retry-After", ID_HEADER],
            max_age=600,
        )


def _take_id() -> None:
    given = request.headers.get(ID_HEADER, "")
    request_id.set(given if GIVEN.fullmatch(given) else uuid4().hex)


def _set_headers(response: Response) -> Response:
    response.headers[ID_HEADER] = request_id.get()
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if POLICY not in response.headers:
        response.headers[POLICY] = _page_policy(response) if response.mimetype == "text/html" else NOTHING
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = f"max-age={YEAR}"
    return response


def _page_policy(response: Response) -> str:
    scripts = [] if response.direct_passthrough else INLINE_SCRIPT.findall(response.get_data())
    hashes = "".join(f" 'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    return PAGE.format(hashes=hashes)
