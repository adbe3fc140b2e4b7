"""What a transport is to the rest of ingest: a `Source`, made from the settings by a function `make`.

What belongs here: the protocol, and what all sources of a process share. What does not: anything of one transport, and
which transports there are (`greenpower.ingest.transports`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import Http, Mqtt, Tcp
from greenpower.datatype.dialled import Dialled
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.admission import Admission
from greenpower.loops import Loops


class Source(Protocol):
    """Takes frames of one transport and hands them to the pipeline, from `start` to `close`."""

    @property
    def name(self) -> str:
        """Its name in `/health` and in the listening spans; the `source` of its frames."""

    @property
    def listening_to(self) -> str:
        """Where frames come from now, such as `127.0.0.1:6000`; empty while none can come."""

    async def start(self) -> None:
        """Begin, and return soon: what goes on runs in the kit's loops. Raises ConfigError."""

    async def stop(self) -> None:
        """Take no more frames. What was taken may still be acknowledged."""

    async def close(self) -> None:
        """Leave. Called once what was taken is stored, or could not be stored in time."""

    def health(self) -> dict[str, Any]:
        """`{"ok": bool, ...}`. What MongoDB holds up is not the fault of a source. Also called by the HTTP thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKit:
    """What the sources of a process share: places for TCP connections, supervised loops, metrics."""

    admission: Admission
    loops: Loops
    metrics: CollectorRegistry


Make = Callable[[Settings, Registry, Pipeline, SourceKit], Source | None]
"""Makes a source; None where the settings do not ask for it. Raises ConfigError. It starts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """What is known of a source before it is made. name: of the `Source`. claims: the kinds of claims that it serves.

    A device counts as silent only while a source of its type's claims is listened to.
    """

    name: str
    claims: tuple[type[Mqtt] | type[Tcp] | type[Dialled] | type[Http], ...]
    make: Make
