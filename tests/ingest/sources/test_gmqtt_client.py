"""What we rely on in gmqtt, private parts included: an upgrade that changes it fails here, not at a site."""

from __future__ import annotations

import ast
import asyncio
import inspect
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import gmqtt
import pytest
import uvloop
from gmqtt.mqtt.connection import MQTTConnection
from gmqtt.mqtt.handler import MQTTConnectError, MqttPackageHandler
from gmqtt.storage import PersistentStorage

import greenpower
from greenpower.config import Settings
from greenpower.ingest.sources.mqtt.connect import (
    NEVER_EXPIRES,
    BrokerSilent,
    connect,
    fleeting,
    persistent,
)
from greenpower.ingest.sources.mqtt.gmqtt_client import (
    BrokerConnection,
    MQTTv50,
    MQTTv311,
    SingleConnection,
    Subscription,
    refusal_code,
)
from tests.ingest.conftest import Publisher
from tests.proxy import AckDroppingProxy
from tests.wait import until

PACKAGE = Path(greenpower.__file__).parent
OURS = PACKAGE / "ingest/sources/mqtt/gmqtt_client.py"
Walk = Callable[[BrokerConnection], Awaitable[None]]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_one_module_imports_gmqtt() -> None:
    users = [path for path in PACKAGE.rglob("*.py") if any(name.split(".")[0] == "gmqtt" for name in imports(path))]
    assert users == [OURS]


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (MqttPackageHandler._handle_qos_1_publish_packet, ["self", "mid", "packet", "print_topic", "properties"]),
        (MQTTConnection.send_package, ["self", "package"]),
        (MQTTConnection.is_closing, ["self"]),
        (gmqtt.Client.reconnect, ["self", "delay"]),
        (PersistentStorage.push_message, ["self", "mid", "raw_package"]),
        (PersistentStorage.remove_message_by_mid, ["self", "mid"]),
        (MQTTConnectError.__init__, ["self", "code"]),
    ],
)
def test_signatures(function: Callable[..., Any], parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_a_refusal_has_its_code() -> None:
    assert refusal_code(MQTTConnectError(132)) == 132 and refusal_code(OSError()) is None


@pytest.fixture
def topic() -> str:
    """A topic of this test alone."""
    return f"test/{uuid4().hex}"


def at_broker(settings: Settings, walk: Walk, version: int = MQTTv50, using: Settings | None = None) -> None:
    """Connect a persistent client, walk, leave, and end the session."""

    async def run() -> None:
        client = persistent(settings, version)
        try:
            await connect(client, using or settings, version)
            await walk(client)
        finally:
            await client.leave()
            ending = fleeting(settings)
            await connect(ending, settings, version)
            await ending.leave()

    uvloop.run(run())


async def subscribed(client: BrokerConnection, topic: str) -> None:
    ready = asyncio.Event()
    client.on_subscribe = lambda *_: ready.set()
    client.subscribe(Subscription(topic, qos=1))
    await asyncio.wait_for(ready.wait(), 60)


def published(settings: Settings, topic: str, *payloads: bytes) -> None:
    publisher = Publisher(settings.mqtt_broker, settings.mqtt_port)
    for payload in payloads:
        publisher.send(topic, payload)
    publisher.flush()
    publisher.close()


def test_private_attributes_are_there(settings: Settings) -> None:
    async def walk(client: BrokerConnection) -> None:
        connection = client._connection
        assert client.client_id == settings.mqtt_client_id
        assert connection._transport is connection._protocol._transport
        assert connection._protocol._hard_reader is connection._protocol._stream_reader
        assert connection._protocol._hard_reader._paused is False
        assert isinstance(connection._last_data_in, float)
        assert client._package_handler._handle_qos_1_publish_packet == client._take
        # Ours would hide the broker's: it asks for a session that never expires.
        assert client._package_handler.properties["session_expiry_interval"] == NEVER_EXPIRES
        assert "receive_maximum" in client.connack and "session_expiry_interval" not in client.connack

    at_broker(settings, walk)


@pytest.mark.parametrize("version", [MQTTv50, MQTTv311])
def test_a_frame_is_acknowledged_when_it_is_stored_and_not_before(settings: Settings, topic: str, version: int) -> None:
    with AckDroppingProxy(settings.mqtt_broker, settings.mqtt_port) as proxy:
        through = settings.model_copy(update={"mqtt_port": proxy.port})

        async def walk(client: BrokerConnection) -> None:
            stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            taken: list[tuple[bytes, bool, bool]] = []
            counted: list[tuple[int, int]] = []

            def take(
                _: object, topic: object, payload: bytes, properties: dict[str, Any]
            ) -> asyncio.Future[None] | None:
                taken.append((payload, bool(properties["dup"]), bool(properties["retain"])))
                return None if payload == b"no" else stored

            client.on_frame = take
            client.on_acknowledged = lambda sent, unsent: counted.append((sent, unsent))
            await subscribed(client, topic)
            await asyncio.to_thread(published, settings, topic, b"1", b"2", b"no", b"3")
            await until(lambda: len(taken) == 4)
            await asyncio.sleep(0.2)
            assert proxy.acks[-1] == 0 and counted == []
            stored.set_result(None)
            await until(lambda: proxy.acks[-1] == 3)
            assert counted == [(3, 0)]
            assert taken == [(b"1", False, False), (b"2", False, False), (b"no", False, False), (b"3", False, False)]

        at_broker(settings, walk, version, through)


def test_nothing_is_acknowledged_on_another_connection(settings: Settings, topic: str) -> None:
    async def walk(client: BrokerConnection) -> None:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        taken: list[bytes] = []
        counted: list[tuple[int, int]] = []

        def take(_: object, topic: object, payload: bytes, properties: dict[str, Any]) -> asyncio.Future[None]:
            taken.append(payload)
            return stored

        client.on_frame = take
        client.on_acknowledged = lambda sent, unsent: counted.append((sent, unsent))
        await subscribed(client, topic)
        await asyncio.to_thread(published, settings, topic, b"1", b"2")
        await until(lambda: len(taken) == 2)
        other = persistent(settings, MQTTv50)
        again: list[bool] = []
        other.on_frame = lambda _, topic, payload, properties: again.append(bool(properties["dup"]))
        try:
            await connect(other, settings, MQTTv50)  # the broker ends the first one
            await asyncio.wait_for(client.lost.wait(), 60)
            stored.set_result(None)
            await until(lambda: counted == [(0, 2)])
            await until(lambda: again == [True, True])
        finally:
            await other.leave()

    at_broker(settings, walk)


def test_a_connection_that_is_held_back_reads_nothing_and_is_kept(settings: Settings, topic: str) -> None:
    """gmqtt closes a connection on which it has read nothing for a minute, also where it is we who do not read."""

    async def walk(client: BrokerConnection) -> None:
        taken: list[bytes] = []
        client.on_frame = lambda _, topic, payload, properties: taken.append(payload)
        await subscribed(client, topic)
        client.hold_back(True)
        await asyncio.to_thread(published, settings, topic, *(b"x" * 50_000 for _ in range(20)))
        await asyncio.sleep(0.3)
        assert taken == []
        client._connection._last_data_in -= 1000
        client.hold_back(True)
        assert time.monotonic() - client._connection._last_data_in < 5
        client._connection._keep_connection()
        await asyncio.sleep(0.1)
        assert not client._connection.is_closing() and not client.lost.is_set()
        client.hold_back(False)
        await until(lambda: len(taken) == 20)

    at_broker(settings, walk)


def test_a_connection_that_is_lost_is_not_made_again(settings: Settings) -> None:
    async def walk(client: BrokerConnection) -> None:
        connection = client._connection
        connection._transport.abort()
        await asyncio.wait_for(client.lost.wait(), 60)
        await asyncio.sleep(0.1)
        assert client._connection is connection and connection.is_closing()
        client.hold_back(True)

    at_broker(settings, walk)


def test_a_server_that_says_nothing_or_hangs_up_is_not_waited_for(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        silent = settings.model_copy(update={"mqtt_broker": "127.0.0.1", "mqtt_port": server.getsockname()[1]})

        async def run() -> None:
            client = persistent(silent, MQTTv50)
            with pytest.raises(BrokerSilent):
                await connect(client, silent, MQTTv50)
            await client.leave()

        uvloop.run(run())


def test_a_refused_version_has_a_code(settings: Settings) -> None:
    """A broker that knows no MQTT 5 says so, or hangs up."""

    def refuse(server: socket.socket) -> None:
        with suppress(OSError):
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(struct.pack("!BBBB", 0x20, 2, 0, 1))
                client.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=refuse, args=(server,), daemon=True).start()
        using = settings.model_copy(update={"mqtt_broker": "127.0.0.1", "mqtt_port": server.getsockname()[1]})

        async def run() -> int | None:
            client = persistent(using, MQTTv311)
            try:
                await connect(client, using, MQTTv311)
            except MQTTConnectError as error:
                return refusal_code(error)
            finally:
                await client.leave()
            return None

        assert uvloop.run(run()) == 1


def test_the_outbox_of_a_sender_hears_of_packet_ids_and_acknowledgements(settings: Settings, topic: str) -> None:
    """The simulator's: gmqtt tells its storage the id within `publish`, and later that the broker has it."""

    class Outbox(PersistentStorage):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.pushed: list[int] = []
            self.removed: list[int] = []

        def push_message(self, mid: int, raw_package: bytes) -> None:
            self.pushed.append(mid)

        def remove_message_by_mid(self, mid: int) -> None:
            self.removed.append(mid)

    async def run() -> None:
        outbox = Outbox()
        client = SingleConnection(f"test-{uuid4().hex[:8]}", persistent_storage=outbox)
        try:
            await connect(client, settings, MQTTv50)
            for count in range(1, 4):
                client.publish(topic, b"x", qos=1)
                assert len(outbox.pushed) == count
            await until(lambda: sorted(outbox.removed) == sorted(outbox.pushed))
        finally:
            await client.leave()

    asyncio.run(run())
