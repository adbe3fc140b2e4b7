"""Connecting to the broker with the operator's settings: address, login, TLS, version, and how long to wait.

What belongs here: one connection's beginning. What does not: when to connect again (`session`, `simulator.publisher`).
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from greenpower.config import Settings
from greenpower.ingest.sources.mqtt.gmqtt_client import (
    BrokerConnection,
    MQTTConnectError,
    MQTTv50,
    SingleConnection,
)

NEVER_EXPIRES = 0xFFFFFFFF
KEEPALIVE_SECONDS = 30
CONNECT_SECONDS = 5.0


class BrokerSilent(OSError):
    """There is a connection, but no answer to our CONNECT."""


def persistent(settings: Settings, version: int) -> BrokerConnection:
    """A client for a session that the broker keeps, and that acknowledges a frame when its handler says so."""
    properties: dict[str, Any] = {}
    if version == MQTTv50:
        properties = {"session_expiry_interval": NEVER_EXPIRES, "receive_maximum": settings.mqtt_receive_maximum}
    client = BrokerConnection(
        settings.mqtt_client_id, clean_session=False, optimistic_acknowledgement=False, **properties
    )
    set_credentials(client, settings)
    return client


def fleeting(settings: Settings) -> BrokerConnection:
    """A client of the same name that ends the session: the broker forgets it at once, and this one when it leaves."""
    client = BrokerConnection(settings.mqtt_client_id, clean_session=True)
    set_credentials(client, settings)
    return client


def set_credentials(client: SingleConnection, settings: Settings) -> None:
    """Let a client log in as the settings say."""
    if settings.mqtt_username:
        client.set_auth_credentials(settings.mqtt_username, settings.mqtt_password.get_secret_value() or None)


async def connect(client: SingleConnection, settings: Settings, version: int) -> None:
    """Connect. Raises OSError (BrokerSilent among them) or MQTTConnectError; the caller then lets the client leave."""
    connecting = asyncio.ensure_future(
        client.connect(
            settings.need("MQTT_BROKER"),
            settings.mqtt_port,
            ssl=tls_to_broker(settings) or False,
            keepalive=KEEPALIVE_SECONDS,
            version=version,
        )
    )
    lost = asyncio.ensure_future(client.lost.wait())
    try:
        await asyncio.wait({connecting, lost}, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            await connecting
            return
        if not client.lost.is_set():
            raise BrokerSilent(f"no answer in {CONNECT_SECONDS:.0f} s")
        raise BrokerSilent("the broker closed the connection")
    finally:
        for task in (connecting, lost):
            task.cancel()
            with suppress(asyncio.CancelledError, OSError, MQTTConnectError):
                await task


def version_name(version: int) -> str:
    """The version of MQTT as people write it."""
    return "5" if version == MQTTv50 else "3.1.1"


def tls_to_broker(settings: Settings) -> ssl.SSLContext | None:
    """What to speak TLS with; None without it."""
    if not settings.mqtt_tls:
        return None
    context = ssl.create_default_context(cafile=settings.mqtt_tls_ca)
    if settings.mqtt_tls_cert is not None:
        context.load_cert_chain(settings.mqtt_tls_cert, settings.mqtt_tls_key)
    return context
