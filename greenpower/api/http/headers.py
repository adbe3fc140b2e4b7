"""Headers of every answer: the request id and what browsers may do. Also which proxies are trusted."""

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
# An id from a proxy or a caller is kept if it is safe in a log.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
POLICY_HEADER = "Content-Security-Policy"
NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"
# Swagger sets styles in its elements; its one inline script is allowed by its hash.
PAGE_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self'{hashes}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
HSTS_SECONDS = 365 * 86_400


def init_headers(app: Flask, settings: Settings) -> None:
    """Set the headers of an app, the origins that browsers may call it from, and the number of trusted proxies."""
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
    request_id.set(given if REQUEST_ID.fullmatch(given) else uuid4().hex)


def _set_headers(response: Response) -> Response:
    response.headers[ID_HEADER] = request_id.get()
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if POLICY_HEADER not in response.headers:
        response.headers[POLICY_HEADER] = (
            _page_policy(response) if response.mimetype == "text/html" else NO_CONTENT_POLICY
        )
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}"
    return response


def _page_policy(response: Response) -> str:
    scripts = [] if response.direct_passthrough else INLINE_SCRIPT.findall(response.get_data())
    hashes = "".join(f" 'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    return PAGE_POLICY.format(hashes=hashes)
