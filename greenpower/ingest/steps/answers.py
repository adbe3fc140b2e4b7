"""Answers to commands: read from frames on declared answer topics, and kept for the worker before the frame's event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.catalog.registry import Registry
from greenpower.datatype import Answer, Frame, FrameError
from greenpower.datatype.command import NOTED, OPERATION
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.steps.problem_log import fields
from greenpower.mongo.client import Document
from greenpower.mongo.devices.answers import answer_document, keep_answers
from greenpower.mongo.failure import until_written

log = logging.getLogger(__name__)


class Answers:
    """Keeps the answers in a batch. One per ingest process."""

    def __init__(
        self, registry: Registry, collection: AsyncCollection[Document], on_retry: Callable[[Exception], None]
    ) -> None:
        self.collection = collection
        self._on_retry = on_retry
        self._readers = {
            topic: command.read_answer
            for datatype in registry
            for command in datatype.commands
            for topic in command.answers
        }

    async def keep(self, arrivals: Iterable[Arrival]) -> None:
        """Keep the answers among frames; what is none is said in the frame's event."""
        documents = []
        for arrival in arrivals:
            answer = self._read(arrival) if arrival.noted == NOTED and arrival.topic in self._readers else None
            if answer is not None and arrival.type_name is not None:
                documents.append(answer_document(arrival.type_name, arrival.topic, answer, arrival.received_at))
        if documents:
            await until_written(lambda: keep_answers(self.collection, documents), on_retry=self._on_retry)

    def _read(self, arrival: Arrival) -> Answer | None:
        frame = Frame(topic=arrival.topic, payload=arrival.payload, received_at=arrival.received_at)
        try:
            answer = self._readers[arrival.topic](frame)
        except FrameError as error:
            arrival.detail = f"{error.reason}: {error.detail}"
            return None
        except Exception as error:  # foreign code, as a parser is
            log.exception("reading an answer on %s failed", arrival.topic, extra=fields(arrival.id))
            arrival.detail = f"{type(error).__name__}: {error}"[:200].encode("utf-8", "backslashreplace").decode()
            return None
        if not OPERATION.fullmatch(answer.operation):
            arrival.detail = "answers nothing that was asked from here"
            return None
        return answer
