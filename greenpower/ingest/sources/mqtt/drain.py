"""Draining the session of an ingest process that is gone for good: what waits in it is stored, then it is ended.

While a member of the group is away, the broker keeps its frames in its session, and goes on giving it its share. So:
connect under its client id, unsubscribe, store what was queued, end the session. A message of ours shows the end of the
queue: a session is delivered in order, so what was queued before that message has come when it comes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

from greenpower.config import Settings
from greenpower.ingest.sources.mqtt.connect import connect, fleeting
from greenpower.ingest.sources.mqtt.gmqtt_client import (
    BrokerConnection,
    MQTTConnectError,
    Properties,
    Subscription,
    Topic,
)
from greenpower.ingest.sources.mqtt.intake import MqttIntake
from greenpower.ingest.sources.mqtt.session import MqttSession
from greenpower.ingest.sources.mqtt.subscription import encoded

log = logging.getLogger(__name__)

REACH_SECONDS = 30.0
# A process that runs connects again at once, a busy one as well, and so has the session again within this time.
RECONNECT_SEEN_SECONDS = 5.0
# Mosquitto does not say that a session was taken over, and a connection may also end because the broker was started
# again. But a process that runs connects again each time: twice within this time is one.
TAKEN_OVER_TWICE_SECONDS = 15.0
MARK_SECONDS = 2.0
# Where our message may not be sent: so many times MARK_SECONDS without a frame are the end as well.
QUIET_ROUNDS = 5
MARK_TOPICS = "greenpower/drain/"


class DrainError(Exception):
    """Why a session was not drained. What was not stored is still at the broker."""


class NoSession(DrainError):
    """The broker knows no session of that name: it was drained before, or the name is wrong."""


class ProcessRuns(DrainError):
    """A process runs under that client id, and takes its session back."""


class Drain(MqttSession):
    """Empties the session of `settings.mqtt_client_id`. `taken` counts the frames that came."""

    def __init__(self, *, settings: Settings, topics: Sequence[str], intake: MqttIntake) -> None:
        super().__init__(settings=settings, topics=topics, intake=intake)
        self.pipeline = intake.pipeline
        self.on_frame = self._take
        self.taken = 0
        self._marks = f"{MARK_TOPICS}{uuid4().hex}"
        self._was_there: bool | None = None
        self._leaving = False
        self._taken_over = asyncio.Event()
        self._lost_at: float | None = None
        self._marked = asyncio.Event()
        self._ready = asyncio.Event()
        self._unsubscribed = asyncio.Event()

    async def drain(self) -> None:
        """Store all that waits, and end the session. Raises DrainError; the session stays then."""
        running = asyncio.create_task(self.run())
        try:
            await self._reach()
            await self._see_that_no_process_runs()
            self._leaving = True
            if self._client is not None:
                self._leave(self._client)
            while not await self._is_empty():
                pass
        except DrainError:
            await self._leave_session(running)
            raise
        except asyncio.CancelledError:
            running.cancel()
            raise
        await self._leave_session(running)
        await self._end_session()

    async def _reach(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), REACH_SECONDS)
        if not self._ready.is_set():
            raise DrainError(f"cannot connect to {self.host}:{self.settings.mqtt_port}: {self.problem}")
        if not self._was_there:
            await self._leave_session(None)
            await self._end_session()
            raise NoSession(f"the broker has no session of {self.settings.mqtt_client_id}")

    async def _see_that_no_process_runs(self) -> None:
        """Before anything is unsubscribed: a process that runs would miss frames until it is back."""
        calm = False
        while not calm:
            client = self._client if self.connected else None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._taken_over.wait(), RECONNECT_SEEN_SECONDS)
            self._fail_if_taken_over()
            calm = client is not None and client is self._client and not client.lost.is_set()

    def _fail_if_taken_over(self) -> None:
        if self._taken_over.is_set():
            raise ProcessRuns(
                f"the connection was taken over: a process runs as {self.settings.mqtt_client_id}, stop it first"
            )

    async def _is_empty(self) -> bool:
        """One look whether all has come and is stored."""
        quiet = 0
        self._marked.clear()
        while quiet < QUIET_ROUNDS:
            self._fail_if_taken_over()
            client, taken = self._client, self.taken
            if client is not None and self._unsubscribed.is_set():
                client.publish(self._marks, b"", qos=1)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._marked.wait(), MARK_SECONDS)
                break
            self._fail_if_taken_over()
            went_on = self.taken != taken or self.pipeline.batcher.pending
            quiet = 0 if went_on or not (self.connected and self._unsubscribed.is_set()) else quiet + 1
        taken = self.taken
        await self.pipeline.drain()
        await asyncio.sleep(0)  # let the handlers acknowledge what was stored last
        if self.pipeline.batcher.failed:
            raise DrainError(f"{self.pipeline.batcher.failed} frames could not be stored, see the log: drain it again")
        # Of a connection that was lost meanwhile, the frames that were not acknowledged come again.
        return client is not None and client is self._client and not client.lost.is_set() and taken == self.taken

    async def _leave_session(self, running: asyncio.Task[None] | None) -> None:
        await self.stop()
        await self.disconnect()
        if running is not None:
            await running

    async def _end_session(self) -> None:
        client = fleeting(self.settings)
        try:
            await connect(client, self.settings, self._version)
        except (OSError, TimeoutError, MQTTConnectError) as error:
            raise DrainError(f"all is stored, but the session could not be ended, drain it again: {error}") from error
        finally:
            await client.leave()

    def _on_connect(self, client: BrokerConnection, flags: int, rc: int, properties: Properties) -> None:
        if self._was_there is None:
            self._was_there = bool(flags)
        self._unsubscribed.clear()
        self._marked.clear()
        client.on_unsubscribe = self._on_unsubscribe
        if self._leaving:
            asyncio.get_running_loop().call_later(RECONNECT_SEEN_SECONDS, self._leave_again, client)
        self._ready.set()

    def _leave_again(self, client: BrokerConnection) -> None:
        """After a connection was lost: not before it is seen that no other process has the session."""
        if client is self._client and not client.lost.is_set() and not self._stopping.is_set():
            self._leave(client)

    def _leave(self, client: BrokerConnection) -> None:
        client.subscribe(Subscription(self._marks, qos=1))
        client.unsubscribe(encoded((*self.topics, *self.others)))

    def _on_unsubscribe(self, client: BrokerConnection, mid: int, codes: Sequence[int]) -> None:
        self._unsubscribed.set()

    def _on_subscribe(self, client: BrokerConnection, mid: int, granted: Sequence[int], properties: Properties) -> None:
        """Where it is refused, no mark comes, and the quiet is the end."""

    async def _connection(self) -> bool:
        accepted = await super()._connection()
        # A broker that goes down closes its port first. One that is there may have been started again meanwhile.
        if accepted and not self._stopping.is_set() and await self._broker_is_there():
            now = asyncio.get_running_loop().time()
            if self._lost_at is not None and now - self._lost_at < TAKEN_OVER_TWICE_SECONDS:
                self._taken_over.set()
                self._stopping.set()
            self._lost_at = now
        return accepted

    async def _broker_is_there(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self.host, self.settings.mqtt_port)
        except OSError:
            return False
        writer.close()
        return True

    def _take(
        self, client: BrokerConnection, topic: Topic, payload: bytes, properties: Properties
    ) -> asyncio.Future[None] | None:
        if isinstance(topic, str) and topic.startswith(MARK_TOPICS):
            if topic == self._marks and client is self._client:
                self._marked.set()
            return self.intake.nothing_to_store
        if isinstance(topic, str) and topic.startswith("$SYS/"):
            return self.intake.nothing_to_store
        self.taken += 1
        return self.intake.take(client, topic, payload, properties)
