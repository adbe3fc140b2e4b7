"""`/`: the built page, and the configuration that it needs before it can ask the API.

What belongs here: serving files. What does not: data, which the page gets from the REST API and the gateway, like any
other client.
"""

from __future__ import annotations

import re
from pathlib import Path

from flask import Blueprint, Response, jsonify, request, send_from_directory

from greenpower import __version__
from greenpower.config import Settings

BUILT = Path(__file__).with_name("built")
# The names of built files contain a hash of their content.
MAX_AGE_SECONDS = 365 * 86_400
HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{gateway}; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
MISSING = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Green Power</title><meta name="viewport" content="width=device-width"></head>
<body>
<main>
<h1>Green Power</h1>
<p>The API is running, but the dashboard is not built. To build it, run <code>make page</code> in the source folder
(see docs/dashboard.md).</p>
<p><a href="/api/docs/">API documentation</a></p>
</main>
</body>
</html>
"""


def make_blueprint(settings: Settings, built: Path = BUILT) -> Blueprint:
    """The page. built: the folder of built files; it may appear and vanish while the API runs."""
    blueprint = Blueprint("dashboard", __name__)
    # Behind a proxy the gateway has the same origin as the page; else it has a port of its own beside the API.
    port = None if settings.api_trusted_proxies else settings.realtime_port

    @blueprint.get("/")
    def show_page() -> Response:
        try:
            page: str | bytes = (built / "index.html").read_bytes()
        except FileNotFoundError:
            page = MISSING
        response = Response(page, mimetype="text/html")
        response.add_etag()
        response.make_conditional(request)
        response.headers["Content-Security-Policy"] = POLICY.format(gateway=_gateway(port))
        response.headers["Cache-Control"] = "no-cache"
        return response

    @blueprint.get("/dashboard/config.json")
    def show_config() -> Response:
        """{"version", "realtime_port": null for the page's own origin, "timezone": of the devices}."""
        response = jsonify(version=__version__, realtime_port=port, timezone=settings.device_timezone)
        response.headers["Cache-Control"] = "no-cache"
        return response

    @blueprint.get("/dashboard/<path:name>")
    def show_file(name: str) -> Response:
        response = send_from_directory(built, name, max_age=MAX_AGE_SECONDS)
        response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}, immutable"
        return response

    return blueprint


def _gateway(port: int | None) -> str:
    """The sources of the content policy that let the page reach the gateway."""
    host = HOST.fullmatch(request.host)
    if port is None or host is None:
        return ""
    name, secure = host[1], "s" if request.is_secure else ""
    return f" http{secure}://{name}:{port} ws{secure}://{name}:{port}"
