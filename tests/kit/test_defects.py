"""Planted defects: a plugin that is right but for one thing, and what the kit says about it.

Each names the rule, and in its problem the field, the sample and the topic, as far as it concerns one.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from greenpower.kit import first_run, limited
from greenpower.kit.contract import problems
from tests.kit.conftest import Edit, Make

CODE = "__init__.py"
FRAME = "samples/as_sent/frame.json"
SAMPLE = "as_sent"
TOPIC = "plant/shed"
PARSER = 'json_parser(device="id", time="time")'
IMPORT = "from greenpower.datatype import"
STAMP = '"20261123141500"'
TEMP = 'Field("temp", unit="°C", low=-40, high=120, title="device temperature")'
STATE = 'unit="1", kind=Kind.STATE, low=0, high=255, title="state, numbered as in the manual"'


def before_all(code: str) -> Edit:
    """Code at the top of the plugin."""
    return CODE, IMPORT, f"{code}\n{IMPORT}"


def parsing(body: str, before: str = "pass") -> tuple[Edit, ...]:
    """A parser of its own: `found` is what the parser of the template reads, `sent` the object as sent."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code = (
        f"SEEN: list = []\n{before}\n\n\ndef parse(frame):\n"
        f"    found = {PARSER}(frame)\n    sent = decode_object(frame.payload)\n{lines}    return found\n\n\n"
    )
    return (
        (CODE, "DATATYPE = ", f"{code}DATATYPE = "),
        (CODE, f"parse={PARSER}", "parse=parse"),
        before_all(
            "import re\nimport struct\nfrom datetime import UTC, datetime, timedelta, timezone\n"
            "from greenpower.datatype import FrameError, Reading, decode_object"
        ),
    )


def timed(stamp: str, sent: str) -> tuple[Edit, ...]:
    """A parser that reads the stamp `t` in a way of its own, and a sample in which it is sent."""
    code = f"""
def parse(frame):
    sent = decode_object(frame.payload)
    t = sent.pop("time")
    return (Reading(device_id=sent.pop("id"), values=sent, stamp={stamp}),)


DATATYPE = """
    return (*parsing("pass")[1:], (CODE, "DATATYPE = ", code), (FRAME, STAMP, sent))


def replaced(code: str) -> tuple[Edit, ...]:
    """A parser that is only this code, of a function `parse`."""
    return (*parsing("pass")[1:], (CODE, "DATATYPE = ", f"{code}\n\n\nDATATYPE = "))


@dataclass(frozen=True, kw_only=True)
class Defect:
    """edits: what makes it. rule: that finds it. found: texts in what is found. The rest: what the problem names."""

    name: str
    edits: tuple[Edit, ...]
    rule: str
    found: tuple[str, ...] = ()
    field: str = ""
    sample: str = ""
    topic: str = TOPIC


def stamped(name: str, stamp: str, sent: str, *found: str) -> Defect:
    """A stamp that is misread."""
    return Defect(name=name, edits=timed(stamp, sent), rule="clock forms", found=found, sample=SAMPLE)


def in_fields(name: str, field: str, edit: Edit, *found: str) -> Defect:
    """A declaration that is wrong."""
    return Defect(name=name, edits=(edit,), rule="fields", found=found, field=field)


def stateful(name: str, body: str, field: str = "power", before: str = "pass") -> Defect:
    """A parser that keeps something."""
    return Defect(name=name, edits=parsing(body, before), rule="state", field=field, sample=SAMPLE)


def outside(name: str, edits: tuple[Edit, ...], rule: str, found: str) -> Defect:
    """Code that reaches what no plugin may reach. Its place is a line."""
    return Defect(name=name, edits=edits, rule=rule, found=(found,), topic="")


DEFECTS = [
    stamped(
        "an offset is dropped", "datetime.fromisoformat(t).replace(tzinfo=None)", '"2026-11-23T14:15:00+06:00"',
        "2026-11-20T06:00:00+06:00", "the offset +06:00 is dropped",
    ),
    stamped(
        "an offset is cut off", "datetime.strptime(t[:19], '%Y-%m-%dT%H:%M:%S')", '"2026-11-23T14:15:00+06:00"',
        "the offset +06:00 is dropped",
    ),
    stamped(
        "an offset is taken for UTC", "datetime.strptime(t[:19], '%Y-%m-%dT%H:%M:%S').replace(tzinfo=UTC)",
        '"2026-11-23T14:15:00+06:00"', "2026-11-20 06:00:00+00:00",
    ),
    stamped(
        "UTC is made naive", "datetime.strptime(t[:19], '%Y-%m-%dT%H:%M:%S')", '"2026-11-23T14:15:00Z"',
        "without a zone",
    ),
    stamped(
        "epoch seconds are made naive", "datetime.fromtimestamp(t, UTC).replace(tzinfo=None)", "1795443300",
        "1795132800", "a count since 1970, which is UTC, is made naive",
    ),
    stamped(
        "epoch milliseconds are read in the zone of the server", "datetime.fromtimestamp(t / 1000)", "1795443300000",
        "1795132800000", "without a zone",
    ),
    stamped(
        "epoch seconds are shifted by hand", "datetime.fromtimestamp(t, UTC) + timedelta(hours=6)", "1795443300",
        "2026-11-20 06:00:00+00:00",
    ),
    stamped(
        "day and month are swapped", "datetime.strptime(t, '%Y%d%m%H%M%S')", STAMP.replace("1123", "1111"), "rejected",
    ),
    stamped(
        "a wrong clock is corrected", "max(datetime.strptime(t, '%Y%m%d%H%M%S'), datetime(2020, 1, 1))", STAMP,
        "20050101", "2020-01-01",
    ),
    stateful(
        "the values of another device fill gaps",
        "if frame.device:\n    SEEN[:] = [99]\nelif SEEN:\n    found[0].values['power'] = SEEN[0]",
    ),
    stateful("a power is the rise since the last frame", "SEEN.append(1)\nfound[0].values['power'] = len(SEEN)"),
    stateful("every second frame is another", "SEEN.append(1)\nfound[0].values['power'] = len(SEEN) % 2"),
    stateful("every seventh frame is another", "SEEN.append(1)\nfound[0].values['power'] = len(SEEN) % 7 == 0"),
    stateful(
        "every fifth frame is rejected", "SEEN.append(1)\nif len(SEEN) % 5 == 0:\n    raise FrameError('fifth')", "",
    ),
    stateful(
        "the device of the frame before counts",
        "SEEN.append(frame.device)\nfound[0].device_id = SEEN[-2:][0] or 'A'", "",
    ),
    stateful(
        "a default argument is kept", "found[0].values['power'] = len(count())",
        before="def count(seen=[]):\n    seen.append(1)\n    return seen",
    ),
    Defect(
        name="what fails is a reading of zeros", rule="garbage", field="power", found=("garbage", "0 bytes"),
        edits=replaced(
            "def parse(frame):\n    try:\n        return json_parser(device='id', time='time')(frame)\n"
            "    except FrameError:\n        return (Reading(device_id='D', values={'power': 0}),)"
        ),
    ),
    Defect(
        name="any digits are a reading", rule="garbage", field="power", found=("garbage", "502 Bad Gateway"),
        edits=replaced(
            "def parse(frame):\n    found = re.findall(rb'[0-9.]+', frame.payload)\n    if not found:\n"
            "        raise FrameError('empty')\n"
            "    return (Reading(device_id='D', values={'power': found[0].decode()}),)"
        ),
    ),
    Defect(
        name="any bytes are a reading", rule="garbage", field="temp", found=("random bytes",),
        edits=(*replaced(
            "def parse(frame):\n    if len(frame.payload) < 4 or frame.payload[0] in (0, 10, 32, 255):\n"
            "        raise FrameError('short')\n    if frame.payload.isascii() or frame.payload[1] == 1:\n"
            "        raise FrameError('text')\n"
            "    return (Reading(device_id='D', values={'temp': struct.unpack('>Hh', frame.payload[:4])[1] / 1000}),)"
        ),),
    ),
    Defect(
        name="two readings of a frame contradict each other", rule="contradictions", field="power", sample=SAMPLE,
        found=("12.5 and 13",),
        edits=parsing("found = (found[0], Reading(device_id='DEVICE-1', values={'power': 13}, stamp=found[0].stamp))"),
    ),
    Defect(
        name="two readings without a stamp contradict each other", rule="contradictions", field="temp", sample=SAMPLE,
        found=("arrival", "31.5 and 40"),
        edits=parsing("found[0].stamp = None\nfound = (found[0], Reading(device_id='DEVICE-1', values={'temp': 40}))"),
    ),
    Defect(
        name="a counter is above its modulus", rule="sampled fields", field="energy", sample=SAMPLE,
        found=("energy is 8123", "modulus=5000"), edits=((CODE, "high=10**9", "high=10**9, modulus=5_000"),),
    ),
    Defect(
        name="a field is in no sample", rule="sampled fields", field="humidity", found=("no sample has humidity",),
        edits=((CODE, TEMP, f'{TEMP},\n    Field("humidity", unit="%", low=0, high=100, title="humidity")'),),
    ),
    in_fields(
        "the range is above the modulus", "energy", (CODE, "high=10**9", "high=10**9, modulus=10**6"), "modulus=1e+06"
    ),
    in_fields("degrees as gauge", "temp", (CODE, TEMP, TEMP.replace("°C", "°")), "gauge", "°"),
    in_fields("a code as gauge, by its name", "state", (CODE, "kind=Kind.STATE, ", ""), "gauge", "state"),
    in_fields(
        "a code as gauge, by its words", "state",
        (CODE, f'"state", {STATE}', '"state", unit="1", title="pump", source="pump", words={"on": 1, "off": 0}'),
        "gauge", "on, off",
    ),
    in_fields(
        "a code as gauge, by its title", "state",
        (CODE, f'Field("state", {STATE})', 'Field("state", unit="1", title="0 off, 1 standby, 2 running")'),
        "gauge",
    ),
    in_fields("energy as gauge", "energy", (CODE, "kind=Kind.COUNTER, low=0, high=10**9, greatest_rate=1_000, ", ""),
              "kWh", "gauge"),
    outside(
        "a table is read from a file",
        (before_all("with open(__file__) as table:\n    TABLE = table.read()"),), "files", "open()",
    ),
    outside("paths are used", (before_all("from pathlib import Path"),), "files", "pathlib.Path"),
    outside("settings are read from the environment", (before_all("import os"),), "files", "os"),
    outside("a socket is used", (before_all("import socket"),), "files", "socket"),
    outside("a process is started", (before_all("from subprocess import run"),), "files", "subprocess.run"),
    outside("a thread is started", (before_all("import threading"),), "files", "threading"),
    Defect(
        name="a file is written through another module", rule="files", found=("open",), sample=SAMPLE,
        edits=parsing("tokenize.open(__file__).close()", "import tokenize"),
    ),
    outside("an import by string", (before_all("from importlib import import_module"),), "imports", "importlib"),
    outside("an import by a function", (before_all('X = __import__("greenpower.config")'),), "imports", "__import__"),
    outside("code in a string", (before_all('exec("import greenpower.config")'),), "imports", "exec"),
    outside("a formula in a string", (before_all('TWO = eval("1 + 1")'),), "imports", "eval"),
    outside("the table of modules", (before_all("import sys\n\nX = sys.modules"),), "imports", "sys.modules"),
    Defect(
        name="a value in a sample is left out", rule="keys", field="temp", sample=SAMPLE, found=("temp: out-of-range",),
        edits=((FRAME, "31.5", "850"),),
    ),
    Defect(
        name="a key in a sample is undeclared", rule="keys", field="watts", sample=SAMPLE, found=("watts: undeclared",),
        edits=((FRAME, '"power":', '"watts":'),),
    ),
    Defect(
        name="a sample has another result", rule="samples", field="power", sample=SAMPLE, found=("12.5",),
        edits=(("samples/as_sent/expected.json", "12.5", "13.5"),),
    ),
    Defect(
        name="the parser raises", rule="samples", sample=SAMPLE, found=("KeyError",), edits=parsing("sent['nothing']"),
    ),
    Defect(
        name="a delta has neither stamp nor id", rule="deltas", field="energy", sample=SAMPLE, found=("energy",),
        edits=(
            (CODE, "kind=Kind.COUNTER", "kind=Kind.DELTA"),
            (CODE, PARSER, 'json_parser(device="id", ignore=("time",))'),
        ),
    ),
    Defect(
        name="values depend on the time", rule="simulated devices", field="temp", sample=SAMPLE, found=("temp is",),
        edits=parsing("found[0].values['temp'] += found[0].stamp.year - 2026 + found[0].stamp.hour - 14"),
    ),
    Defect(
        name="a register ends too early", rule="counters", field="energy", topic="", found=("greatest_rate=1000",),
        edits=((CODE, "high=10**9", "high=2_000"),),
    ),
]  # fmt: skip
#: name, edits, rule, text in what is found
UNENDING = [
    ("an endless loop", parsing("while found:\n    pass"), "deadline", "processor time"),
    (
        "a loop that only a wrong frame makes endless",
        replaced(f"def parse(frame):\n    while frame.payload[:1] == b'[':\n        pass\n    return {PARSER}(frame)"),
        "any bytes",
        "processor time",
    ),
    (
        "a loop that only an empty frame makes endless",
        replaced(f"def parse(frame):\n    while not frame.payload.strip():\n        pass\n    return {PARSER}(frame)"),
        "garbage",
        "processor time",
    ),
    (
        "a quadratic loop",
        parsing("rest = frame.payload\nwhile rest:\n    rest = rest[1:]"),
        "deadline",
        "processor time",
    ),
    (
        "a list that is searched for each of its items",
        replaced(
            "import json\n\n\ndef parse(frame):\n    sent, seen = json.loads(frame.payload), []\n    for key in sent:\n"
            "        if key not in seen:\n            seen.append(key)\n"
            "    return (Reading(device_id=sent.pop('id'), values=sent),)"
        ),
        "deadline",
        "processor time",
    ),
    (
        "a pattern that tries everything",
        parsing("re.search(r'(1+)+z', '1' * 40 + str(sent['id']))"),
        "deadline",
        "processor time",
    ),
    ("a parser that waits", parsing("sleep(3600)", "from time import sleep"), "deadline", "waits"),
]


@pytest.fixture(autouse=True)
def short_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_run, "LONG_FRAME_BYTES", 4_096)


def test_enough_is_planted() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) > 30


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_is_found(make: Make, defect: Defect) -> None:
    plugin = make(*defect.edits)
    (problem, *_) = problems(plugin, defect.rule)
    assert all(part in problem.found for part in defect.found), problem
    assert (problem.field, problem.sample, problem.topic) == (defect.field, defect.sample, defect.topic)
    assert problem.expected and problem.fix and str(plugin.folder) in problem.place
    text = str(problem)
    assert all(part in text for part in (problem.field, problem.sample, problem.topic, problem.fix))


@pytest.mark.parametrize(("edits", "rule", "named"), [one[1:] for one in UNENDING], ids=[one[0] for one in UNENDING])
def test_a_parser_that_does_not_end_is_found(
    make: Make, monkeypatch: pytest.MonkeyPatch, edits: tuple[Edit, ...], rule: str, named: str
) -> None:
    monkeypatch.setattr(limited, "CPU_SECONDS_PER_STEP", 0.3)
    monkeypatch.setattr(limited, "LOOKS_ASLEEP", 5)
    monkeypatch.setattr(first_run, "LONG_FRAME_BYTES", 256 * 1024)
    plugin = make(*edits)
    (problem,) = problems(plugin, rule)
    assert named in problem.found and "frame" in problem.found
    assert problem.topic == TOPIC and (rule != "deadline" or problem.sample == SAMPLE)
    if rule == "deadline":  # no other rule reads a frame then
        assert [problems(plugin, other) for other in ("samples", "state", "parse rate", "garbage")] == [[]] * 4


def test_a_sample_may_say_why_values_are_left_out(make: Make) -> None:
    odd = ("samples/as_sent/expected.json", '"readings"', '"odd": "the sensor is broken",\n  "readings"')
    assert problems(make((FRAME, "31.5", "850"), odd), "keys") == []
