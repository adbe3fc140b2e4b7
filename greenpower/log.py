"""Logging: how every process writes its lines."""

from __future__ import annotations

import logging
import sys

# gmqtt warns of each write to a connection that is gone; ingest counts those as unacknowledged.
QUIET = {
    "gmqtt": logging.WARNING,
    "gmqtt.mqtt.protocol": logging.ERROR,
    "pymongo": logging.WARNING,
    "werkzeug": logging.WARNING,
}


def set_up_logging(level: str) -> None:
    """Log to stderr at `level`, libraries that chat at warning and above."""
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))
