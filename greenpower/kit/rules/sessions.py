"""Rule for sessions: frames that depend on a birth are read with it, and only with it."""

from __future__ import annotations

from collections.abc import Iterator

from greenpower.datatype import DataType, FrameError, Noted
from greenpower.datatype.session import make_birth
from greenpower.kit.outcome import frame_of, outcomes
from greenpower.kit.plugin import LONG_AGO, Plugin, RecordedSample
from greenpower.kit.problem import Problem, short, shown


def check_sessions(plugin: Plugin) -> Iterator[Problem]:
    """Births are declared and can be kept; a sample with a birth before it is read with that birth, and not without."""
    for datatype in plugin.datatypes:
        depends = False
        for sample in plugin.samples_of(datatype):
            problem = _kept_problem(plugin, datatype, sample)
            if problem is None and sample.before:
                depends = True
                problem = _needed_problem(plugin, datatype, sample)
            if problem is not None:
                yield problem
                break
        if datatype.sessions and not depends:
            yield Problem(
                place=shown(plugin.folder / "samples"),
                found=f"{datatype.name} has sessions=True, and no sample has a birth before it",
                expected="a frame that is read with what its device said before",
                fix="save one: greenpower plugins try NAME FRAME --before TOPIC BIRTH --keep CASE; or remove sessions=",
            )


def _kept_problem(plugin: Plugin, datatype: DataType, sample: RecordedSample) -> Problem | None:
    """What is wrong with the births in a sample and before it."""
    for topic, payload in (*((sample.topic, frame) for frame in sample.frames), *sample.before):
        device = dict(plugin.claimed(topic)).get(datatype)
        try:
            births = plugin.births_before(datatype, sample) if topic == sample.topic else ()
            notes = [
                note
                for note in datatype.parse(frame_of(datatype, topic, device, payload, births))
                if isinstance(note, Noted) and note.session is not None
            ]
        except FrameError:
            continue
        for note in notes:
            try:
                make_birth(note.session, note.since, LONG_AGO)
                wrong = "" if datatype.sessions else f"{datatype.name} does not declare sessions=True"
            except FrameError as error:
                wrong = f"{error.reason}: {error.detail}"
            if wrong:
                return Problem(
                    place=shown(sample.folder),
                    found=f"a birth has the session {short(note.session, 80)}: {wrong}",
                    expected="a mapping of plain JSON, of a type with sessions=True",
                    fix="keep what later frames need, under texts; declare sessions=True",
                    sample=sample.case,
                    topic=topic,
                )
    return None


def _needed_problem(plugin: Plugin, datatype: DataType, sample: RecordedSample) -> Problem | None:
    """A sample that is read without the birth before it: the plugin keeps the birth, or guesses."""
    device = dict(plugin.claimed(sample.topic)).get(datatype)
    births = plugin.births_before(datatype, sample)
    if not births:
        found, fix = "the frames before it are no births of its device", 'name its topic in "before"'
    else:
        without = [item for frame in sample.frames for item in outcomes(datatype, sample.topic, device, frame)]
        if not (read := [item for item in without if "payload" in item]):
            return None
        found = f"without the birth before it, it is read as {short(read[0], 80)}"
        fix = "take what a birth says from frame.session, keep nothing between frames, and raise FrameError "
        fix += '("no-session", …) without it; if the frame needs no birth, remove "before"'
    return Problem(
        place=shown(sample.folder),
        found=found,
        expected="a frame that is rejected where its birth is not known",
        fix=fix,
        sample=sample.case,
        topic=sample.topic,
    )
