"""A caller for the tests of what is kept in SQL: any method, any user."""

from __future__ import annotations

from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from greenpower.config import Settings
from greenpower.models import RoleName
from greenpower.models.setup import make_user
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
        """Make a user and log him in."""
        with self.app.app_context():
            assert make_user(name, PASSWORD, role)
        tokens: dict[str, str] = self.log_in(name, PASSWORD).get_json()
        return tokens
