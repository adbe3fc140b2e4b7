"""TLS to the broker, with a certificate on both sides, and on our own TCP ports.

A broker that another authority vouches for is not spoken to; who speaks no TLS is not listened to.
"""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.stack import Mosquitto
from greenpower.stack.port import free_port
from plugins.solar import POLL
from tests.ingest.conftest import Document, Publisher, Start, frame, wait_events
from tests.ingest.sources.gateway import HEARTBEAT, VALUES
from tests.process import Command
from tests.tls import write_authority, write_certificate
from tests.wait import wait_until


@pytest.mark.slow
def test_frames_come_over_tls_from_a_broker_that_is_who_it_says(
    start: Start, settings: Settings, db: Database[Document], tmp_path: Path
) -> None:
    ours, foreign = trustme.CA(), trustme.CA()
    for name, authority in (("ours", ours), ("foreign", foreign)):
        write_authority(tmp_path, name, authority)
    chain, key = write_certificate(tmp_path, "broker", ours, "127.0.0.1")
    own_chain, own_key = write_certificate(tmp_path, "ingest", ours, "ingest.example")
    port = free_port()
    options = {
        "listener": f"{port} 127.0.0.1",
        "cafile": str(tmp_path / "ours.ca"),
        "certfile": str(chain),
        "keyfile": str(key),
        "require_certificate": "true",
    }
    with Mosquitto(tmp_path / "broker", options=options) as broker:
        trusting = settings.model_copy(
            update={
                "mqtt_broker": broker.host,
                "mqtt_port": port,
                "mqtt_tls": True,
                "mqtt_tls_ca": tmp_path / "ours.ca",
                "mqtt_tls_cert": own_chain,
                "mqtt_tls_key": own_key,
            }
        )
        command = start(trusting)
        publisher = Publisher(broker.host, broker.port)
        publisher.send("MQTT_RT_DATA", frame())
        publisher.flush()
        publisher.close()
        wait_events(db, 1, outcome="stored")
        assert command.stop() == 0

        for wrong in ({"mqtt_tls_ca": tmp_path / "foreign.ca"}, {"mqtt_tls_cert": None, "mqtt_tls_key": None}):
            refused = start(trusting.model_copy(update=wrong), healthy=False)

            def trouble(refused: object = refused) -> bool:
                return bool(refused.health().get("parts", {}).get("mqtt", {}).get("problem"))  # type: ignore[attr-defined]

            wait_until(trouble, 20)
            assert refused.health()["parts"]["mqtt"]["ok"] is False
            assert refused.stop() == 0


class Secured:
    """A client that speaks TLS before it speaks."""

    def __init__(self, port: int, authority: Path) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
        self.socket.settimeout(60)


@pytest.mark.slow
def test_tcp_ports_speak_tls_and_count_who_does_not(settings: Settings, db: Database[Document], tmp_path: Path) -> None:
    authority = trustme.CA()
    trusted = write_authority(tmp_path, "ours", authority)
    chain, key = write_certificate(tmp_path, "ingest", authority, "127.0.0.1")
    using = settings.model_copy(
        update={
            "tcp_lines_port": free_port(),
            "tcp_lines_token": SecretStr("open sesame"),
            "tcp_tls": "all",
            "tcp_tls_cert": chain,
            "tcp_tls_key": key,
            "tcp_registration_seconds": 3.0,
            "tcp_max_connections": 5,
        }
    )
    with Command(using, "ingest", "--tcp", folder=tmp_path) as command:
        command.wait_healthy()
        command.wait_listening(using.tcp_port, using.tcp_lines_port)
        line = json.dumps({"topic": "MQTT_RT_DATA", "payload": frame()}).encode()
        lines, gateways = using.tcp_lines_port, using.tcp_port
        with Secured(lines, trusted).socket as client, client.makefile("rb") as answers:
            # Token and frame in one piece, right behind the handshake.
            client.sendall(b"open sesame\n" + line + b"\n")
            assert [answers.readline(), answers.readline()] == [b"ok\n", b"ok\n"]
        with Secured(gateways, trusted).socket as gateway:
            for _ in range(3):
                gateway.sendall(HEARTBEAT)
                request = gateway.recv(12)
                gateway.sendall(POLL.answer(request, VALUES))
            wait_events(db, 2, outcome="stored")
            assert command.health()["parts"]["tcp"]["gateways"] == 1
        for port, said in ((lines, b"open sesame\n"), (gateways, HEARTBEAT), (gateways, b"")):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
                plain.sendall(said)
                assert end_of(plain)
        # What says nothing is ended in its time too, and counted.
        wait_until(lambda: command.metric("greenpower_tcp_closed_total", reason="no-tls") == 3)
        wait_until(lambda: command.metric("greenpower_tcp_connections") == 0)
        # Also while it shakes hands a connection counts, and may be crowded out.
        silent = [socket.create_connection(("127.0.0.1", gateways), timeout=60) for _ in range(8)]
        assert all(end_of(one) for one in silent[:3])
        wait_until(lambda: command.metric("greenpower_tcp_closed_total", reason="crowded-out") == 3)
        for one in silent:
            one.close()
        wait_until(lambda: command.metric("greenpower_tcp_closed_total", reason="no-tls") == 8)
        assert db.telemetry_events.count_documents({}) == 2
        assert "Traceback" not in command.log.read_text()
        assert command.stop() == 0


def end_of(connection: socket.socket) -> bool:
    """Whether the other side ends a connection; an alert of TLS may come before."""
    try:
        while connection.recv(100):
            pass
    except ConnectionResetError:
        pass
    return True


def test_tls_without_a_certificate_does_not_start(settings: Settings, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    for update, told in (
        ({"tcp_tls": "all"}, "TCP_TLS_CERT"),
        ({"tcp_tls": "gateways", "tcp_tls_cert": missing}, "missing.pem cannot be used"),
    ):
        with Command(settings.model_copy(update=update), "ingest", "--tcp", folder=tmp_path) as command:
            assert command.process.wait(60) == 2
            assert told in command.log.read_text() and "Traceback" not in command.log.read_text()
