"""The transports that there are: the one place where a new one is wired.

What belongs here: which option of `greenpower ingest` asks for which sources. What does not: what a source is
(`sources.source`), when it is started (`runner`).
"""

from __future__ import annotations

from dataclasses import dataclass

from greenpower.ingest.sources.gateway import source as gateway
from greenpower.ingest.sources.lines import source as lines
from greenpower.ingest.sources.mqtt import source as mqtt
from greenpower.ingest.sources.source import Make


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """An option of `greenpower ingest`, its help, and what makes the sources that it asks for."""

    option: str
    help: str
    make: tuple[Make, ...]


TRANSPORTS = (
    Transport(option="mqtt", help="Receive frames from the MQTT broker.", make=(mqtt.make,)),
    Transport(
        option="tcp",
        help="Receive frames over TCP: from gateways, and as lines of JSON.",
        make=(gateway.make, lines.make),
    ),
)
