"""MQTT: the source of frames that come through the broker, with acknowledgements held until frames are stored.

What does not belong here: connecting (`session`), which frames are taken (`intake`).
"""

from __future__ import annotations

from typing import Any

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import Mqtt
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.mqtt.intake import MqttIntake, MqttMetrics
from greenpower.ingest.sources.mqtt.session import MqttSession
from greenpower.ingest.sources.source import Source, SourceKind, SourceKit
from greenpower.loops import TaskLoop

# Connecting and leaving may take some seconds each.
STALLED_SECONDS = 60.0


def make(settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> Source | None:
    """The source of all topics that data types claim, at MQTT_BROKER."""
    intake = MqttIntake(pipeline=pipeline, metrics=MqttMetrics(kit.metrics), window=settings.mqtt_receive_maximum)
    return MqttSource(MqttSession(settings=settings, topics=registry.topics, intake=intake), kit)


class MqttSource:
    """The broker. One per ingest process."""

    name = "mqtt"

    def __init__(self, session: MqttSession, kit: SourceKit) -> None:
        self.session = session
        self._kit = kit
        self._loop = TaskLoop("mqtt", self._run, stalled_after=STALLED_SECONDS)

    @property
    def listening_to(self) -> str:
        return self.session.address if self.session.connected else ""

    async def start(self) -> None:
        self._kit.loops.add(self._loop).start()

    async def stop(self) -> None:
        self._loop.request_stop()
        await self.session.stop()

    async def close(self) -> None:
        await self.session.disconnect()

    def health(self) -> dict[str, Any]:
        """`{"ok", "held_back"?, "problem"?, "warnings"?}`.

        held_back: frames are left at the broker, connected or not, until MongoDB has taken what is held. Not ok as well
        while the broker refuses a subscription: its frames do not come.
        """
        session = self.session
        held_back = session.intake.held_back
        part: dict[str, Any] = {"ok": (session.connected or held_back) and not session.refused}
        if held_back:
            part["held_back"] = True
        if problem := session.refused or ("" if held_back else session.problem):
            part["problem"] = problem
        if session.warnings:
            part["warnings"] = list(session.warnings)
        return part

    async def _run(self, loop: TaskLoop) -> None:
        self.session.advance = loop.advance
        await self.session.run()


SOURCE = SourceKind(name=MqttSource.name, claims=(Mqtt,), make=make)
