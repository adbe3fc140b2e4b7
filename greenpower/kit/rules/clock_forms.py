"""Rule for the forms of stamps: in samples the time is replaced by others, and each must be read as what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from greenpower.datatype import DataType, Noted
from greenpower.datatype.session import Birth
from greenpower.kit.outcome import frame_of
from greenpower.kit.plugin import Plugin, RecordedSample
from greenpower.kit.problem import Problem, short, shown
from greenpower.kit.rules.clock import CLOCK_TIMES
from greenpower.kit.stamp_forms import COMPACT, TEXTS, WRITTEN_TIMES, WrittenTime
from greenpower.simulator.stamp_text import StampText, stamp_texts

Stamps = list[datetime | None]
#: stamps that a sample has are looked for in its first frames
MAX_FRAMES_PER_SAMPLE = 3
MAX_STAMPS_PER_FRAME = 4


def check_clock_forms(plugin: Plugin) -> Iterator[Problem]:
    """No offset is dropped, UTC stays UTC, and a stamp is read as it is, whatever the time."""
    for datatype in plugin.datatypes:
        for sample in plugin.samples_of(datatype):
            device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
            if found := _sample_problem(datatype, sample, device, plugin.births_before(datatype, sample)):
                text, what, means = found
                yield Problem(
                    place=shown(sample.folder),
                    found=f"the stamp {text} is {what}",
                    expected=f"{means.isoformat()}" if means.tzinfo else f"{means.isoformat()} without a zone",
                    fix="use parse_time, parse_stamp or parse_epoch for what the device sends; they keep offsets, and "
                    "leave a stamp without one naive: the core knows the zone of the device",
                    sample=sample.case,
                    topic=sample.topic,
                )
                break


def _sample_problem(
    datatype: DataType, sample: RecordedSample, device: str | None, births: tuple[Birth, ...]
) -> tuple[str, str, datetime] | None:
    """The first stamp that is misread: (as written, what happens to it, what it means)."""
    for payload in sample.frames[:MAX_FRAMES_PER_SAMPLE]:
        before = _stamps(datatype, sample.topic, device, payload, births)
        if before is None:
            continue
        for stamp in list(stamp_texts(payload))[:MAX_STAMPS_PER_FRAME]:
            is_time, rejected = False, None
            for written in _instead_of(stamp):
                after = _stamps(datatype, sample.topic, device, stamp.put(payload, written.text), births)
                for read in _changed(before, after):
                    is_time = True
                    if what := _misread(read, written, stamp):
                        return written.text, f"read as {what}", written.means
                if after is None and written.as_in_sample:
                    rejected = rejected or written
            if is_time and rejected is not None:
                return rejected.text, "rejected, and the sample has one of this form", rejected.means
    return None


def _instead_of(stamp: StampText) -> Iterator[WrittenTime]:
    """What a device may write instead: in other forms where the stamp is a text of its own, and at other times."""
    if stamp.form == "count":
        if not stamp.fraction:
            yield from (written for written in WRITTEN_TIMES if len(written.text) == stamp.end - stamp.start
                        and written.text.isdecimal() and written is not COMPACT)  # fmt: skip
    elif stamp.quoted:
        yield from TEXTS
    misread = "a time in UTC is made naive"
    for at in CLOCK_TIMES:
        at = at.replace(microsecond=0)
        naive = stamp.form == "compact" or (stamp.form == "iso" and not stamp.offset)
        if at.year >= 2001 or stamp.form != "count":  # before, a count has fewer digits
            yield WrittenTime(
                text=stamp.write(at),
                means=at.replace(tzinfo=None) if naive else at,
                misread="" if naive else misread,
                as_in_sample=True,
            )


def _stamps(
    datatype: DataType, topic: str, device: str | None, payload: bytes, births: tuple[Birth, ...]
) -> Stamps | None:
    """The stamps of the readings in a frame; None if it is rejected, or if the parser fails, which other rules find."""
    try:
        readings = datatype.parse(frame_of(datatype, topic, device, payload, births))
    except Exception:
        return None
    return [reading.stamp for reading in readings if not isinstance(reading, Noted)]


def _changed(before: Sequence[datetime | None], after: Sequence[datetime | None] | None) -> Iterator[datetime]:
    """The stamps that another text changed: those that were read from it."""
    if after is None or len(after) != len(before):
        return
    for one, other in zip(before, after, strict=True):
        if isinstance(other, datetime) and one is not None and (one != other or one.tzinfo != other.tzinfo):
            yield other


def _misread(read: datetime, written: WrittenTime, stamp: StampText) -> str:
    """How a stamp is misread; empty if it is not. A device without fractions of a second may cut them."""
    tolerance = timedelta(milliseconds=1 if stamp.fraction else 1000)
    if read.tzinfo is None:
        if written.means.tzinfo is not None:
            return f"{read.isoformat()} without a zone: {written.misread}"
        off = abs(read - written.means)
    elif written.means.tzinfo is None:
        return ""  # the device's description may say in which zone its clock is
    else:
        off = abs(read - written.means)
    return short(f"{read.astimezone(UTC) if read.tzinfo else read}") if off >= tolerance else ""
