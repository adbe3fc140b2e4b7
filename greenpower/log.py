"""Logging: how every process writes its lines: text for people, or with LOG_FORMAT=json one object per line."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

# gmqtt warns of each write to a closed connection; ingest counts those as unacknowledged.
LIBRARY_LEVELS = {
    "gmqtt": logging.WARNING,
    "gmqtt.mqtt.protocol": logging.ERROR,
    "pymongo": logging.WARNING,
    "rq.worker": logging.WARNING,
    "rq_scheduler": logging.WARNING,
    "werkzeug": logging.WARNING,
    "alembic": logging.WARNING,
    "flask-limiter": logging.WARNING,
}
# The id of the request that this thread works on, else empty. It stays until the next request, so that the access log
# has it too.
request_id: ContextVar[str] = ContextVar("request_id", default="")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that a caller passed with `extra={"fields": {…}}`."""
    found: dict[str, Any] = getattr(record, "fields", {})
    return found


class TextFormatter(logging.Formatter):
    """`time LEVEL logger [id of request or event]: message`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        found = request_id.get() or _fields(record).get("event", "")
        record.request = f" [{found}]" if found else ""
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "logger", "message", "process"}`, and if there are any `request_id`, the caller's fields and
    `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if found := request_id.get():
            line["request_id"] = found
        line |= {name: value for name, value in _fields(record).items() if name not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line).decode()
        except TypeError:  # a lone surrogate, from a file name or a header
            clean = {key: str(value).encode(errors="replace").decode() for key, value in line.items()}
            return orjson.dumps(clean).decode()


def set_up_logging(level: str, form: str = "text") -> None:
    """Log to stderr at `level`, noisy libraries at warning and above. form: `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))
