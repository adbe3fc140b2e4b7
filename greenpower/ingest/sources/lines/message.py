"""What a line of JSON says: a topic and the frame that would have come on it over MQTT.

    {"topic": "site/meter", "payload": {"id": …}}

`payload` is the frame: an object, or a string that holds it. `"dup": true` says that it may have come before.
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from greenpower.datatype import FrameError
from greenpower.datatype.json import decode_object
from greenpower.framing.lines import Overlong
from greenpower.ingest.arrival import Arrival

# Around the payload: the topic and punctuation.
ENVELOPE_BYTES = 1_024
MAX_TOPIC_LENGTH = ENVELOPE_BYTES // 2


def read_line(line: bytes | Overlong) -> Arrival:
    """The frame in a line; a line that holds none becomes a rejected frame."""
    if isinstance(line, Overlong):
        arrival = _rejected(b"", "too-large", f"{line.length} bytes")
        arrival.raw = {"size": line.length, "sha256": line.digest, "raw": line.head.decode("utf-8", "replace")}
        return arrival
    try:
        message = decode_object(line)
        topic, payload = message.get("topic"), message.get("payload")
        if not isinstance(topic, str) or not topic.isprintable() or len(topic) > MAX_TOPIC_LENGTH:
            raise FrameError("no-topic", f"{topic!a}"[:80])
        body = payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
    except FrameError as error:
        return _rejected(line, error.reason, error.detail)
    except (TypeError, ValueError) as error:
        return _rejected(line, "not-json", str(error)[:200])
    dup = message.get("dup") is True
    return Arrival(topic=topic, payload=body, received_at=datetime.now(UTC), source="lines", dup=dup)


def _rejected(payload: bytes, reason: str, detail: str) -> Arrival:
    return Arrival(
        topic="", payload=payload, received_at=datetime.now(UTC), source="lines", rejected=reason, detail=detail
    )
