"""Who asks the API in tests, with any method as any user, and something that answers as ingest does."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from greenpower.config import Settings
from greenpower.sql import RoleName
from greenpower.sql.setup import make_user
from tests.api.conftest import Api

PASSWORD = "correct horse battery"


class SqlApi(Api):
    """The API as an administrator, or as whom `token` is for."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        super().__init__(app, settings)

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> TestResponse:
        """Any request."""
        sent = {"Authorization": f"Bearer {token or self.tokens['access']}", **headers}
        return self.client.open(path, method=method, json=body, headers=sent)

    def good(self, method: str, path: str, body: Any = None, *, code: int = 200, token: str | None = None) -> Any:
        """The answer to a request that must succeed."""
        response = self.ask(method, path, body, token=token)
        assert response.status_code == code, response.text
        return response.get_json() if response.data else None

    def user(self, name: str, role: RoleName = RoleName.VIEWER) -> dict[str, str]:
        """Create a user and log in."""
        with self.app.app_context():
            assert make_user(name, PASSWORD, role)
        tokens: dict[str, str] = self.log_in(name, PASSWORD).get_json()
        return tokens


@contextmanager
def ingest(port: int, status: int, **parts: dict[str, Any]) -> Iterator[None]:
    """Something that answers where ingest's health is looked for."""
    body = json.dumps({"parts": parts}).encode() if parts else b""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
