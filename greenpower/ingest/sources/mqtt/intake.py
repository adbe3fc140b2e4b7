"""Which frames are taken from the broker, how fast, and when each is acknowledged.

What belongs here: handing frames to the pipeline, and leaving them at the broker while the pipeline is full. What does
not: connecting and subscribing (`session`).
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from greenpower.ingest.arrival import Arrival
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.mqtt.broker_limits import DROPPED, Dropped
from greenpower.ingest.sources.mqtt.gmqtt_client import BrokerConnection, Properties, Topic

log = logging.getLogger(__name__)

# Frames of lost connections are still being written while the next connection brings its own. Up to this many windows
# may be held before we stay away from the broker until there is room.
WINDOWS_HELD = 4
# With one more window held, its own connection's, we read nothing from the broker until there is room. Only a broker
# that sends more than it may comes so far: when a session comes back with frames in flight and others that wait,
# mosquitto 2.0.11 forgets its limit after some acknowledgements and sends all that wait.
WINDOWS_READ = WINDOWS_HELD + 1
ROOM_CHECK_SECONDS = 0.05
SUCCESS = 0


class MqttMetrics:
    """What is counted of the broker and its frames."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"greenpower_{name}", text, registry=registry)

        self.overflow = counter("frames_overflow", "QoS 0 frames dropped because too many were waiting")
        self.disconnects = counter("mqtt_disconnects", "connections to the broker that ended")
        self.acknowledged = counter("mqtt_acknowledged", "QoS 1 frames acknowledged")
        self.unacknowledged = counter("mqtt_unacknowledged", "QoS 1 frames not acknowledged: their connection was gone")
        self.connected = Gauge("greenpower_mqtt_connected", "1 while connected to the broker", registry=registry)
        self.broker_dropped = Gauge(
            "greenpower_mqtt_broker_dropped",
            "messages to any client that the broker says it dropped",
            registry=registry,
        )


class MqttIntake:
    """Takes the frames of one session, connection after connection. window: frames that may be unacknowledged."""

    def __init__(self, *, pipeline: Pipeline, metrics: MqttMetrics, window: int) -> None:
        self.pipeline = pipeline
        self.metrics = metrics
        self.window = window
        self.dropped = Dropped()
        self.stopping = asyncio.Event()
        self.ended = asyncio.Event()
        self.held_back = False
        self.nothing_to_store: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.nothing_to_store.set_result(None)

    @property
    def has_room(self) -> bool:
        """Whether frames of one more connection may be taken."""
        batcher = self.pipeline.batcher
        return batcher.pending <= WINDOWS_HELD * self.window and not batcher.is_full

    async def has_room_soon(self) -> bool:
        """Whether there is room, or intake is stopping; looks again after a moment where there is none."""
        self.held_back = not self.has_room and not self.stopping.is_set()
        if self.held_back:
            await asyncio.sleep(ROOM_CHECK_SECONDS)
        return not self.held_back

    async def take_other(
        self, client: BrokerConnection, topic: Topic, payload: bytes, qos: int, properties: Properties
    ) -> int:
        """Take a frame that is not of QoS 1. gmqtt acknowledges one of QoS 2 when this returns."""
        if qos == 0 and topic != DROPPED and self.pipeline.batcher.pending > WINDOWS_HELD * self.window:
            self.metrics.overflow.inc()
            return SUCCESS
        await (self.take(client, topic, payload, properties) or self.ended.wait())
        return SUCCESS

    def take(
        self, client: BrokerConnection, topic: Topic, payload: bytes, properties: Properties
    ) -> asyncio.Future[None] | None:
        """Take a frame. The answer ends when it may be acknowledged; None where it must not be on this connection."""
        if topic == DROPPED:
            self._hear_dropped(payload)
            return self.nothing_to_store
        if self.stopping.is_set():
            # Unacknowledged, it comes again to the next process: nothing can be sent once the connection is closed.
            return None
        done = self.pipeline.submit(
            Arrival(
                topic=topic if isinstance(topic, str) else ascii(topic),
                payload=payload,
                received_at=datetime.now(UTC),
                source="mqtt",
                dup=bool(properties["dup"]),
                retained=bool(properties["retain"]),
                packet=properties.get("packet"),
            )
        )
        batcher = self.pipeline.batcher
        if batcher.pending > WINDOWS_READ * self.window or batcher.is_full:
            self._hold_back(client)
        return done

    def count_acknowledged(self, sent: int, unsent: int) -> None:
        """Count frames that were acknowledged, and those that could not be since their connection was gone."""
        self.metrics.acknowledged.inc(sent)
        self.metrics.unacknowledged.inc(unsent)

    def _hold_back(self, client: BrokerConnection) -> None:
        """Leave what the broker sends in the network until there is room."""
        if not client.held_back:
            if not client.noisy:
                log.warning("%d frames held, reading no faster than is stored", self.pipeline.batcher.pending)
                client.noisy = True
            self.held_back = True
            asyncio.get_running_loop().call_later(ROOM_CHECK_SECONDS, self._read_on, client)
        client.hold_back(True)

    def _read_on(self, client: BrokerConnection) -> None:
        if client.lost.is_set():
            self.held_back = False
        elif self.has_room:
            self.held_back = False
            client.hold_back(False)
        else:
            client.hold_back(True)
            asyncio.get_running_loop().call_later(ROOM_CHECK_SECONDS, self._read_on, client)

    def _hear_dropped(self, payload: bytes) -> None:
        if self.dropped.hear(payload):
            text = "the broker dropped messages, %d since its start: a queue is full"
            log.warning(text, self.dropped.total, extra={"fields": {"dropped": self.dropped.total}})
        self.metrics.broker_dropped.set(self.dropped.total or 0)
