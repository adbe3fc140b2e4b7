"""Every rule finds what it is there for, and says where it is, what was expected and what to do."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from greenpower.kit.contract import RULES, check, problems
from tests.kit.conftest import Edit, Make

CODE = "__init__.py"
FRAME = "samples/as_sent/frame.json"
EXPECTED = "samples/as_sent/expected.json"
PARSER = 'json_parser(device="id", time="time")'
IMPORT = "from greenpower.datatype import"


def parsing(body: str) -> Edit:
    """An edit that has a function parse; `found` is what the template's parser gives of `frame`."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code = f"SEEN: list[int] = []\n\n\ndef parse(frame):\n    found = {PARSER}(frame)\n{lines}    return found\n\n\n"
    return CODE, "DATATYPE = ", f"{code}DATATYPE = "


TAKEN: Edit = (CODE, f"parse={PARSER}", "parse=parse")
WIRED: Edit = (CODE, f"parse={PARSER}", 'parse=parse, wire=json_wire(FIELDS, ids="S##", device="id", time="time")')
IMPORTED: Edit = (CODE, "json_parser\n", "json_parser, json_wire\n")

BROKEN = [
    ("name and folder", CODE, 'name="shed', 'name="hut', r"its first data type is named 'hut_\w+'"),
    ("imports", CODE, IMPORT, f"import pymongo\n{IMPORT}", "import of pymongo"),
    ("imports", CODE, IMPORT, f"import greenpower.config\n{IMPORT}", "import of greenpower.config"),
    ("imports", CODE, IMPORT, f"from plugins import rt\n{IMPORT}", "import of plugins.rt"),
    ("README", "README.md", "| kW |", "| MW |", "a table of fields that is not the one"),
    ("README", "README.md", "<!-- end of fields -->", "", "needs one <!-- fields: shed"),
    ("README", "README.md", "plant/shed", "somewhere", "no word of plant/shed"),
    ("fields", CODE, 'title="active power"', 'title=""', "no title"),
    ("fields", CODE, "kind=Kind.COUNTER, low=0, high=10**9, greatest_rate=1_000, ", "", "kWh as gauge"),
    ("fields", CODE, ", greatest_rate=1_000", "", "no greatest_rate"),
    ("fields", CODE, "kind=Kind.COUNTER, low=0", "kind=Kind.COUNTER, low=1", "low=1"),
    ("samples", EXPECTED, "12.5", "13.5", r"payload of reading 0: \{'power': 12.5\}"),
    ("samples", EXPECTED, "plant/shed", "plant/barn", "'plant/barn' is claimed by none"),
    ("samples", EXPECTED, '"topic"', "topic", "JSONDecodeError"),
    ("keys", FRAME, '"power":', '"watts":', "watts: undeclared"),
    ("keys", FRAME, "12.5", "12000.5", "power: out-of-range"),
    ("counters", CODE, "high=10**9", "high=2_000", "are counted"),
]


@pytest.mark.parametrize("tcp", ["", "SHED##"])
def test_a_new_plugin_keeps_every_rule(make: Make, tcp: str) -> None:
    assert check(make(tcp=tcp)) == []


def test_a_level_of_the_topic_may_be_the_device(make: Make) -> None:
    plugin = make(topic="plant/+/shed")
    assert check(plugin) == []
    assert plugin.samples[0].expected[0]["device_id"] == "DEVICE"


@pytest.mark.parametrize(("rule", "path", "old", "new", "found"), BROKEN, ids=[f"{b[0]}: {b[4]}" for b in BROKEN])
def test_what_is_broken_is_found(make: Make, rule: str, path: str, old: str, new: str, found: str) -> None:
    plugin = make((path, old, new))
    (problem, *_) = problems(plugin, rule)
    assert re.search(found, problem.found)
    assert problem.expected and problem.do
    assert str(problem).startswith(problem.place) and str(plugin.folder) in problem.place


@pytest.mark.parametrize(
    ("rule", "body", "found"),
    [
        ("samples", "SEEN.append(1)\nfound[0].values['state'] = len(SEEN)", "says something else"),
        ("samples", "found[0].values.update(frame=1 / 0)", "the parser raised ZeroDivisionError"),
        ("any bytes", "found[0].device_id = found[0].values.get('power')", "cannot name a device|without a device"),
        ("any bytes", "found[0].values.pop('power')", "the parser raises KeyError"),
        ("any bytes", "found = ()", "neither a reading nor FrameError"),
        ("split and duplicated", "SEEN.append(1)\nfound[0].device_id = f'D{len(SEEN)}'", "it is stored as"),
        ("simulated devices", "found[0].values.pop('temp', 0)", "temp is lost"),
        ("simulated devices", "found[0].values['temp'] = 7.25", "is read as 7.25"),
        ("clock", "found[0].stamp = found[0].stamp and found[0].stamp.replace(year=2026)", "is read as 2026"),
        ("parse rate", "sum(range(100_000))", "frames a second"),
    ],
)
def test_a_broken_parser_is_found(make: Make, rule: str, body: str, found: str) -> None:
    plugin = make(parsing(body), WIRED, IMPORTED)
    problem = next(problem for problem in problems(plugin, rule) if re.search(found, problem.found))
    assert str(plugin.folder) in problem.place and problem.do


def test_a_parser_of_ones_own_needs_a_wire_format_to_be_simulated(make: Make) -> None:
    (problem,) = problems(make(parsing("pass"), TAKEN), "simulated devices")
    assert "it declares no wire format" in problem.found and "wire=" in problem.do
    assert check(make(parsing("pass"), WIRED, IMPORTED)) == []


def test_what_is_missing_is_named(make: Make) -> None:
    plugin = make()
    shutil.rmtree(plugin.folder / "samples")
    (plugin.folder / "README.md").unlink()
    assert [Path(problem.place).name for problem in problems(plugin, "name and folder")] == ["README.md", "samples"]
    assert "no case of shed" in problems(plugin, "samples")[0].found


def test_a_poll_and_its_fields_are_held_together(make: Make) -> None:
    plugin = make((CODE, 'fields=("power", "temp")', 'fields=("power", "heat")'), tcp="SHED##")
    assert [problem.found for problem in problems(plugin, "fields")] == [
        "heat is in a block of the poll, and not in fields",
        "temp is in fields, and not in the poll's blocks",
    ]


def test_what_the_system_keeps_for_itself_is_refused(make: Make) -> None:
    plugin = make()
    taken = replace(plugin.datatypes[0], endpoint="events")
    (problem,) = problems(replace(plugin, datatypes=(taken,)), "schema")
    assert "events" in problem.found


def test_rules_say_what_is_wrong_once(make: Make) -> None:
    plugin = make((EXPECTED, '"topic"', "topic"))
    assert {rule for rule in RULES if problems(plugin, rule)} == {"samples"}


def test_a_dialogue_that_needs_whole_messages_is_found(make: Make) -> None:
    lossy = """def lossy(claim):
    talk = POLL.dialogue(claim)
    take = talk.receive
    talk.receive = lambda data, now: take(data, now) if len(data) > 1 else None
    return talk


DATATYPE = """
    plugin = make((CODE, "DATATYPE = ", lossy), (CODE, "dialogue=POLL.dialogue", "dialogue=lossy"), tcp="SHED##")
    (problem,) = problems(plugin, "split and duplicated")
    assert problem.found.startswith("a round byte by byte gives ")


def test_a_parser_that_raises_breaks_rules_and_nothing_else(make: Make) -> None:
    plugin = make(parsing("found[0].values.update(frame=1 / 0)"), WIRED, IMPORTED)
    found = check(plugin)
    assert {"any bytes", "keys", "samples"} <= {rule for rule in RULES if problems(plugin, rule)}
    assert all("ZeroDivisionError" in problem.found for problem in found)
