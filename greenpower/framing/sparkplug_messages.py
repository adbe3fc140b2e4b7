"""Sparkplug messages: metrics by the names that the birth of their sender gave them.

    spBv1.0 / group / NBIRTH NDATA NDEATH / edge node             a birth has all names, aliases and data types;
    spBv1.0 / group / DBIRTH DDATA DDEATH / edge node / device    data has aliases; a death has nothing that is measured

What belongs here: births, data and deaths. What does not: the bytes (`sparkplug`), the fields and topics of a site (the
plugin), and which birth a message is of (`greenpower.datatype.session`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from greenpower.datatype import Field, Frame, FrameError, Noted, Reading, normalise, parse_epoch
from greenpower.datatype.session import NO_SESSION, Session
from greenpower.framing.sparkplug import MetricValue, SparkplugMetric, decode_payload, typed_value

BIRTHS, DATA, DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
NOTHING = "nothing that is measured"


@dataclass(frozen=True, slots=True)
class MetricParser:
    """Parser of Sparkplug messages: reads the metrics that are fields. names: what these are called, normalised."""

    names: frozenset[str] = frozenset()

    def for_fields(self, fields: Iterable[Field]) -> MetricParser:
        """This parser for a data type with these fields."""
        return MetricParser(frozenset(normalise(source) for field in fields for source in field.sources))

    def __call__(self, frame: Frame) -> tuple[Reading, ...]:
        device, kind = frame.device, "".join(frame.topic.split("/")[2:3])
        if device is None:
            raise FrameError("no-id", "the names in the topic are no device id")
        if kind not in (*BIRTHS, *DEATHS, *DATA):
            raise FrameError("bad-topic", f"{kind!a} is no birth, death or data")
        payload = decode_payload(frame.payload)
        if kind in DEATHS:
            return (Noted("death", device_id=device, alive=False),)
        sent = parse_epoch(payload.timestamp)
        if payload.seq is None:
            raise FrameError("no-seq", "a message without a sequence number is not whole")
        notes: tuple[Reading, ...] = ()
        session = frame.session_at(sent)
        if kind in BIRTHS:
            session = _session(payload.metrics)
            notes = (Noted("birth", device_id=device, session=session, since=sent),)
        readings: dict[datetime, dict[str, MetricValue | None]] = {}
        for metric in payload.metrics:
            name, datatype = _meaning(metric, session)
            if metric.is_null or metric.is_transient or normalise(name) not in self.names:
                continue
            value = typed_value(metric, datatype)
            own = metric.timestamp is not None and (metric.is_historical or name in readings.get(sent, ()))
            stamp = parse_epoch(metric.timestamp) if own else sent
            readings.setdefault(stamp, {})[name] = int(value) if isinstance(value, bool) else value
        found = (Reading(device_id=device, values=values, stamp=stamp) for stamp, values in readings.items())
        return (*notes, *found) or (Noted(NOTHING, device_id=device),)


def _session(metrics: Iterable[SparkplugMetric]) -> Session:
    """What a birth says of later messages."""
    named = [metric for metric in metrics if metric.name]
    return {
        "aliases": {str(metric.alias): metric.name for metric in named if metric.alias is not None},
        "types": {metric.name: metric.datatype for metric in named},
    }


def _meaning(metric: SparkplugMetric, session: Session | None) -> tuple[str, int | None]:
    """The name of a metric and its data type, by its number. Raises FrameError: no-session."""
    name = metric.name or (session or {}).get("aliases", {}).get(str(metric.alias))
    if not name:
        raise FrameError(NO_SESSION, f"no birth names the alias {metric.alias}")
    datatype = metric.datatype or (session or {}).get("types", {}).get(name)
    if datatype is None and metric.bits:
        raise FrameError(NO_SESSION, f"no birth has the data type of {name!a}")
    return name, datatype
