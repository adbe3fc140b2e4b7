"""Real servers that take messages: SMTP (aiosmtpd) and HTTP, each in a thread of this process."""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from greenpower.stack.port import free_port


class Mailbox:
    """What an SMTP server took. answer: what it says to a mail; anything but 250 means that it does not take it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mails: list[EmailMessage] = []
        self.answer = "250 OK"

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=gp@example.org&to=team@example.org&mode=insecure"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            mail = email.message_from_bytes(content, policy=email.policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        return self.answer


@contextmanager
def smtp_server() -> Iterator[Mailbox]:
    """A mail server that takes everything, until it is told otherwise."""
    box = Mailbox(free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port, data_size_limit=20_000_000, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


class Webhook:
    """What an HTTP server got, as JSON. status: what it answers. headers: besides. gate: unset, it does not answer."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.got: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook-t0ken"


@contextmanager
def webhook_server() -> Iterator[Webhook]:
    """A server for webhooks."""
    hook = Webhook(free_port())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.gate.wait(60)
            hook.paths.append(self.path)
            hook.got.append(json.loads(body))
            self.send_response(hook.status)
            for name, value in hook.headers.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST  # of a redirect that was followed

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", hook.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield hook
        finally:
            hook.gate.set()
            server.shutdown()
            thread.join()
