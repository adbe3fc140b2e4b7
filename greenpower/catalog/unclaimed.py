"""What is published that no data type in force claims, and which plugin would: for whoever adopts devices.

What belongs here: sorting messages, a bounded sample of them, the setting that takes them in. What does not: listening
(`greenpower.control.publish`), printing (`greenpower.cli.listen`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Frame, FrameError, Noted
from greenpower.datatype.check import Checker

#: topics without a plugin that are kept, topics that are counted of a plugin, samples that are kept of one
MAX_UNKNOWN, MAX_TOPICS, MAX_SAMPLES = 50, 10_000, 3
MAX_SAMPLE_BYTES = 200


@dataclass(slots=True, kw_only=True)
class Fit:
    """Messages that a data type which is not in force would claim. read: how many it reads values from; the others it
    would note. topics: at most `MAX_TOPICS`. samples: the first by topic, of those that are read where there are any.
    """

    datatype: DataType
    messages: int = 0
    read: int = 0
    topics: set[str] = field(default_factory=set)
    samples: dict[str, bytes] = field(default_factory=dict)


class Unclaimed:
    """Messages as they are heard. in_force: what claims topics now. known: all data types that there are."""

    def __init__(self, in_force: Registry, known: Registry) -> None:
        self._in_force = in_force
        self._known = known
        self._checkers: dict[str, Checker] = {}
        self.claimed = 0
        self.messages = 0
        self.fits: dict[str, Fit] = {}
        #: {topic: first payload}, and how many messages came on other topics that are no more kept
        self.unknown: dict[str, bytes] = {}
        self.more = 0

    def hear(self, topic: str, payload: bytes) -> None:
        """Take a message."""
        if self._in_force.match_topic(topic) is not None or self._in_force.stopped_at(topic) is not None:
            self.claimed += 1
            return
        self.messages += 1
        match = self._known.match_topic(topic)
        if match is not None:
            frame = Frame(topic=topic, payload=payload, device=match.claim.device, levels=match.levels)
            read = self._read(match.datatype, frame)
            if read is not None:
                self._add(match.datatype, topic, payload, read)
                return
        if topic in self.unknown:
            return
        if len(self.unknown) < MAX_UNKNOWN:
            self.unknown[topic] = payload[:MAX_SAMPLE_BYTES]
        else:
            self.more += 1

    def _read(self, datatype: DataType, frame: Frame) -> bool | None:
        """Whether a data type reads values from a frame; None where it would reject it."""
        if datatype.name not in self._checkers:
            self._checkers[datatype.name] = Checker(datatype)
        try:
            readings = [reading for reading in datatype.parse(frame) if not isinstance(reading, Noted)]
            for reading in readings:
                self._checkers[datatype.name].check(reading.values)
        except FrameError:
            return None
        except Exception:  # a parser is foreign code: what it fails on does not fit
            return None
        return bool(readings)

    def _add(self, datatype: DataType, topic: str, payload: bytes, read: bool) -> None:
        fit = self.fits.setdefault(datatype.name, Fit(datatype=datatype))
        if read and not fit.read:
            fit.samples.clear()
        fit.messages += 1
        fit.read += read
        if len(fit.topics) < MAX_TOPICS:
            fit.topics.add(topic)
        if (read or not fit.read) and len(fit.samples) < MAX_SAMPLES:
            fit.samples.setdefault(topic, payload[:MAX_SAMPLE_BYTES])

    @property
    def plugins(self) -> tuple[str, ...]:
        """The data types that read something, most messages first."""
        fits = sorted(self.fits.values(), key=lambda fit: (-fit.read, fit.datatype.name))
        return tuple(fit.datatype.name for fit in fits if fit.read)


def adopted(plugins: str, names: Iterable[str]) -> str:
    """A list of plugins, as in GREENPOWER_PLUGINS, with further ones in force."""
    given = [name.strip() for name in plugins.split(",") if name.strip()]
    sign = "" if given and given[0][0] not in "+-" else "+"
    removed = {f"-{name}" for name in names}
    return ",".join([*(item for item in given if item not in removed), *(f"{sign}{name}" for name in names)])
