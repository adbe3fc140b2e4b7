"""The transports that there are: the one place where a new one is wired.

What belongs here: which option of `greenpower ingest` asks for which sources, and which of them a data type may use.
What does not: what a source is (`sources.source`), when it is started (`runner`).
"""

from __future__ import annotations

from dataclasses import dataclass

from greenpower.datatype import DataType, Http
from greenpower.ingest.sources.dialled import source as dialled
from greenpower.ingest.sources.gateway import source as gateway
from greenpower.ingest.sources.http import source as http
from greenpower.ingest.sources.lines import source as lines
from greenpower.ingest.sources.mqtt import source as mqtt
from greenpower.ingest.sources.source import SourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """An option of `greenpower ingest`, its help, and the sources that it asks for."""

    option: str
    help: str
    sources: tuple[SourceKind, ...]


TRANSPORTS = (
    Transport(option="mqtt", help="Receive frames from the MQTT broker.", sources=(mqtt.SOURCE,)),
    Transport(
        option="tcp",
        help="Receive frames over TCP: from gateways, from devices that are dialled, and as lines of JSON.",
        sources=(gateway.SOURCE, dialled.SOURCE, lines.SOURCE),
    ),
    Transport(option="http", help="Receive frames that are pushed over HTTP.", sources=(http.SOURCE,)),
)


def sources_of(datatype: DataType) -> frozenset[str]:
    """The names of the sources whose silence is that of the devices of a type. Of a type with other claims, pushes do
    not count: that they can be taken does not say that devices can be heard on its topics."""
    claims = [claim for claim in datatype.match if not isinstance(claim, Http)] or datatype.match
    kinds = (kind for transport in TRANSPORTS for kind in transport.sources)
    return frozenset(kind.name for kind in kinds if any(isinstance(claim, kind.claims) for claim in claims))
