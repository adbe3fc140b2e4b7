"""Frames as lines of JSON over TCP, so that any MQTT type can come that way too.

    > TOKEN
    < ok
    > {"topic": "site/meter", "payload": {"id": …}}
    < ok                      once its reading and its event are stored
    > {"topic": "nonsense", "payload": 1}
    < error unclaimed-topic

`payload` is the frame: an object, or a string that holds it. Lines may be sent ahead; answers come in their order.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from contextlib import suppress
from datetime import UTC, datetime

import orjson

from greenpower.config import ConfigError, Settings
from greenpower.datatype import FrameError
from greenpower.datatype.json import decode_object
from greenpower.framing.lines import LineFramer, Overlong
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.tls import Entrance, Listener
from greenpower.mongo.events.store import Outcome

log = logging.getLogger(__name__)

READ = 65_536
# Lines of one connection that are read and not yet answered.
MOST_UNANSWERED = 1_000
# Around the payload: the topic and punctuation.
ENVELOPE = 1_024
MOST_TOKEN = 1_024
FULL_SECONDS = 0.05

Waiting = tuple[Arrival, "asyncio.Future[None]"]


class LinesServer:
    """The server for lines. One an ingest process."""

    def __init__(self, *, settings: Settings, pipeline: Pipeline, admission: Admission) -> None:
        self.host, self.port = settings.tcp_host, settings.tcp_lines_port
        self.token = settings.tcp_lines_token.get_secret_value().encode()
        self.registration_seconds = settings.tcp_registration_seconds
        self.idle_seconds = settings.tcp_idle_seconds
        self.most_bytes = settings.max_frame_bytes + ENVELOPE
        self.pipeline = pipeline
        self.metrics = pipeline.metrics
        self.admission = admission
        self.entrance = Entrance(settings, "lines", admission)
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Listen. Raises ConfigError where the port is taken."""
        try:
            self._listener = await self.entrance.listen(self._protocol, self.host, self.port)
        except OSError as error:
            raise ConfigError(f"TCP_LINES_PORT: cannot listen on {self.host}:{self.port}: {error.strerror}") from None
        self.port = self._listener.port

    def stop(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = LinesConnection(self, reader, writer)
        if self.admission.enter(connection):
            await connection.run()
        else:
            connection.close("refused")


class LinesConnection:
    """One connection."""

    def __init__(self, server: LinesServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        peer = writer.get_extra_info("peername")
        self.address: str = peer[0] if peer else ""
        self._reader, self._writer = reader, writer
        self._framer = LineFramer(MOST_TOKEN)
        self._waiting: asyncio.Queue[Waiting | None] = asyncio.Queue(MOST_UNANSWERED)
        self._closed = False

    async def run(self) -> None:
        """Talk until the peer or we end it."""
        reason = "ended"
        answering = asyncio.create_task(self._answer())
        try:
            async with asyncio.timeout(self.server.registration_seconds):
                lines = await self._token()
            if lines is None:
                reason = "bad-token"
                return
            self.server.admission.name(self)
            while True:
                for line in lines:
                    while self.server.pipeline.batcher.is_full:
                        await asyncio.sleep(FULL_SECONDS)
                    arrival = self._arrival(line)
                    await self._waiting.put((arrival, self.server.pipeline.submit(arrival)))
                async with asyncio.timeout(self.server.idle_seconds):
                    data = await self._reader.read(READ)
                if not data:
                    return
                lines = self._framer.receive(data)
        except TimeoutError:
            reason = "silent"
        except OSError:
            reason = "lost"
        finally:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(self.server.idle_seconds):
                    await self._waiting.put(None)
                    await answering
            answering.cancel()
            self.close(reason)

    async def _token(self) -> list[bytes | Overlong] | None:
        """Read the first line; what came after it, or None where it is not the token."""
        lines: list[bytes | Overlong] = []
        beginning = b""
        while not lines and len(beginning) <= MOST_TOKEN:
            data = await self._reader.read(READ)
            if not data:
                return None
            beginning += data
            lines = self._framer.receive(data)
        first = lines[0] if lines else b""
        if not isinstance(first, bytes) or not hmac.compare_digest(first, self.server.token):
            self._writer.write(b"error token\n")
            return None
        self._writer.write(b"ok\n")
        # What came behind the token is cut anew: the limit of a token is not that of a frame.
        self._framer = LineFramer(self.server.most_bytes)
        return self._framer.receive(beginning.partition(b"\n")[2])

    def _arrival(self, line: bytes | Overlong) -> Arrival:
        now = datetime.now(UTC)
        if isinstance(line, Overlong):
            head = line.head.decode("utf-8", "replace")
            raw = {"size": line.length, "sha256": line.digest, "raw": head}
            return Arrival(
                topic="",
                payload=b"",
                received_at=now,
                source="lines",
                rejected="too-large",
                raw=raw,
                detail=f"{line.length} bytes",
            )
        try:
            message = decode_object(line)
            topic, payload = message.get("topic"), message.get("payload")
            if not isinstance(topic, str) or not topic.isprintable() or len(topic) > ENVELOPE // 2:
                raise FrameError("no-topic", f"{topic!a}"[:80])
            body = payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
        except FrameError as error:
            return Arrival(
                topic="", payload=line, received_at=now, source="lines", rejected=error.reason, detail=error.detail
            )
        except (TypeError, ValueError) as error:
            return Arrival(
                topic="", payload=line, received_at=now, source="lines", rejected="not-json", detail=str(error)[:200]
            )
        return Arrival(topic=topic, payload=body, received_at=now, source="lines", dup=message.get("dup") is True)

    async def _answer(self) -> None:
        """Answer each line in turn, once it is settled."""
        while (item := await self._waiting.get()) is not None:
            arrival, done = item
            await done
            rejected = arrival.outcome == Outcome.REJECTED
            self._writer.write(f"error {arrival.reason}\n".encode() if rejected else b"ok\n")
            await self._writer.drain()

    def close(self, reason: str) -> None:
        """End the connection; counted under the reason."""
        if self._closed:
            return
        self._closed = True
        self.server.metrics.tcp_closed.labels(reason).inc()
        self.server.admission.leave(self)
        self._writer.close()
