"""What the server refuses before the app sees it has the shape of all errors."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from greenpower.api.http.server_errors import error_bytes
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from tests.api.http.test_server import wait_ready
from tests.process import Command

ASKED = {
    414: b"GET /api/ready/?x=" + b"y" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    431: b"GET /api/ready/ HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n",
    400: b"NONSENSE\r\n\r\n",
}


def answer_of(port: int, asked: bytes) -> tuple[int, dict[str, str], bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(asked)
        received = b""
        while part := connection.recv(65_536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def test_requests_that_never_reach_the_app(settings: Settings, tmp_path: Path) -> None:
    init_sql(settings)
    with Command(settings, "api", folder=tmp_path) as command:
        wait_ready(command)
        for code, asked in ASKED.items():
            status, headers, body = answer_of(settings.api_port, asked)
            found = json.loads(body)
            assert status == code == found["code"] and headers["Content-Type"] == "application/json", body
            assert sorted(found) == ["code", "errors", "message", "status"] and found["message"]
            assert int(headers["Content-Length"]) == len(body) and headers["Connection"] == "close"


@pytest.mark.parametrize("status", [400, 403, 414, 417, 431, 500, 501])
@pytest.mark.parametrize("text", ["", "<b>'\"\r\nX: y", "\u00e9\u4e2d"])
def test_what_was_sent_cannot_break_the_answer(status: int, text: str) -> None:
    head, _, body = error_bytes(status, "Reason", text).partition(b"\r\n\r\n")
    assert json.loads(body)["code"] == status and head.count(b"\r\n") == 4
    assert f"Content-Length: {len(body)}".encode() in head
