"""Every rule finds its problem and gives its place, the expected state and the fix."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from greenpower.catalog.registry import Registry
from greenpower.kit.contract import RULES, check, problems
from greenpower.kit.plugin import Plugin
from tests.every_kind import EVERY_KIND
from tests.kit.conftest import Edit, Make

CODE = "__init__.py"
FRAME = "samples/as_sent/frame.json"
EXPECTED = "samples/as_sent/expected.json"
PARSER = 'json_parser(device="id", time="time")'
IMPORT = "from greenpower.datatype import"


def parsing(body: str) -> Edit:
    """An edit that adds a function `parse`; in it `found` is the result of the template's parser."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code = f"SEEN: list[int] = []\n\n\ndef parse(frame):\n    found = {PARSER}(frame)\n{lines}    return found\n\n\n"
    return CODE, "DATATYPE = ", f"{code}DATATYPE = "


TAKEN: Edit = (CODE, f"parse={PARSER}", "parse=parse")
WIRED: Edit = (CODE, f"parse={PARSER}", 'parse=parse, wire=json_wire(FIELDS, ids="S##", device="id", time="time")')
IMPORTED: Edit = (CODE, "json_parser\n", "json_parser, json_wire\n")

#: rule, file, text in it, replacement, place of the problem, name or value in its text
BROKEN = [
    ("name and folder", CODE, 'name="shed', 'name="hut', CODE, "hut_"),
    ("imports", CODE, IMPORT, f"import pymongo\n{IMPORT}", f"{CODE}:6", "pymongo"),
    ("imports", CODE, IMPORT, f"import greenpower.config\n{IMPORT}", f"{CODE}:6", "greenpower.config"),
    ("imports", CODE, IMPORT, f"from plugins import rt\n{IMPORT}", f"{CODE}:6", "plugins.rt"),
    ("README", "README.md", "| kW |", "| MW |", "README.md", ""),
    ("README", "README.md", "<!-- end of fields -->", "", "README.md", "<!-- end of fields -->"),
    ("README", "README.md", "plant/shed", "somewhere", "README.md", "plant/shed"),
    ("fields", CODE, 'title="active power"', 'title=""', "field power", "title"),
    ("fields", CODE, "kind=Kind.COUNTER, low=0, high=10**9, greatest_rate=1_000, ", "", "field energy", "gauge"),
    ("fields", CODE, ", greatest_rate=1_000", "", "field energy", "greatest_rate"),
    ("fields", CODE, "kind=Kind.COUNTER, low=0", "kind=Kind.COUNTER, low=1", "field energy", "low=1"),
    ("fields", CODE, "kind=Kind.STATE, ", "", "field state", "state"),
    (
        "fields",
        CODE,
        'unit="1", kind=Kind.STATE',
        'unit="V", kind=Kind.ENUMERATION, codes={2: "on"}',
        "field state",
        "unit V",
    ),
    ("fields", CODE, "kind=Kind.COUNTER, low=0", "kind=Kind.DAILY, low=1", "field energy", "low=1"),
    (
        "fields",
        CODE,
        "kind=Kind.COUNTER, low=0, high=10**9, greatest_rate=1_000",
        "kind=Kind.NET",
        "field energy",
        "greatest_rate",
    ),
    ("samples", EXPECTED, "12.5", "13.5", EXPECTED, "{'power': 12.5}"),
    ("samples", EXPECTED, "plant/shed", "plant/barn", EXPECTED, "plant/barn"),
    ("samples", EXPECTED, '"topic"', "topic", EXPECTED, "JSONDecodeError"),
    ("keys", FRAME, '"power":', '"watts":', "samples/as_sent", "watts: undeclared"),
    ("keys", FRAME, "12.5", "12000.5", "samples/as_sent", "power: out-of-range"),
    ("counters", CODE, "high=10**9", "high=2_000", "field energy", "greatest_rate=1000"),
    ("counters", CODE, "greatest_rate=1_000", "greatest_rate=1_000, modulus=600", "field energy", "modulus=600"),
    ("counters", CODE, "high=10**9", "high=4_000, modulus=5_000", "field energy", "modulus=5000"),
    ("counters", CODE, "greatest_rate=1_000", "greatest_rate=100_000_000", "field energy", "greatest_rate=1e+08"),
    ("counters", CODE, "greatest_rate=1_000", "greatest_rate=0.05", "field energy", "0.05 kW"),
]


@pytest.mark.parametrize("tcp", ["", "SHED##"])
def test_a_new_plugin_keeps_every_rule(make: Make, tcp: str) -> None:
    assert check(make(tcp=tcp)) == []


def test_a_level_of_the_topic_may_be_the_device(make: Make) -> None:
    plugin = make(topic="plant/+/shed")
    assert check(plugin) == []
    assert plugin.samples[0].expected[0]["device_id"] == "DEVICE"


@pytest.mark.parametrize(
    ("rule", "path", "old", "new", "place", "named"), BROKEN, ids=[f"{b[0]}: {b[5] or b[4]}" for b in BROKEN]
)
def test_a_broken_plugin_is_found(make: Make, rule: str, path: str, old: str, new: str, place: str, named: str) -> None:
    plugin = make((path, old, new))
    (problem, *_) = problems(plugin, rule)
    assert problem.place.endswith(place) and str(plugin.folder) in problem.place
    assert problem.found and named in problem.found
    assert problem.expected and problem.fix


@pytest.mark.parametrize(
    ("rule", "body", "named"),
    [
        ("state", "SEEN.append(1)\nfound[0].values['state'] = len(SEEN)", "state"),
        ("samples", "found[0].values.update(frame=1 / 0)", "ZeroDivisionError"),
        ("any bytes", "found[0].device_id = found[0].values.get('power')", "id_in_one_part"),
        ("any bytes", "found[0].values.pop('power')", "KeyError"),
        ("any bytes", "found = ()", "FrameError"),
        ("split and duplicated", "SEEN.append(1)\nfound[0].device_id = f'D{len(SEEN)}'", "'D2'"),
        ("simulated devices", "found[0].values.pop('temp', 0)", "temp"),
        ("simulated devices", "found[0].values['temp'] = 7.25", "7.25"),
        ("clock", "found[0].stamp = found[0].stamp and found[0].stamp.replace(year=2026)", "2026"),
        ("parse rate", "sum(range(100_000))", ""),
    ],
)
def test_a_broken_parser_is_found(make: Make, rule: str, body: str, named: str) -> None:
    plugin = make(parsing(body), WIRED, IMPORTED)
    (problem, *_) = problems(plugin, rule)
    assert named in problem.found
    assert str(plugin.folder) in problem.place and problem.expected and problem.fix


def test_a_parser_with_a_state_is_found(make: Make) -> None:
    plugin = make(parsing("SEEN.append(1)\nfound[0].values['power'] = 12.5 if len(SEEN) < 3 else 13"), WIRED, IMPORTED)
    assert [Path(problem.place).name for problem in problems(plugin, "state")] == ["as_sent"]


def test_a_custom_parser_needs_no_wire_format(make: Make) -> None:
    assert check(make(parsing("pass"), TAKEN)) == []
    assert check(make(parsing("pass"), WIRED, IMPORTED)) == []


def test_missing_files_are_named(make: Make) -> None:
    plugin = make()
    shutil.rmtree(plugin.folder / "samples")
    (plugin.folder / "README.md").unlink()
    assert [Path(problem.place).name for problem in problems(plugin, "name and folder")] == ["README.md", "samples"]
    assert [Path(problem.place).name for problem in problems(plugin, "samples")] == ["samples"]


def test_a_poll_and_its_fields_have_the_same_names(make: Make) -> None:
    plugin = make((CODE, 'fields=("power", "temp")', 'fields=("power", "heat")'), tcp="SHED##")
    found = problems(plugin, "fields")
    assert ["'heat'" in found[0].found, "'temp'" in found[1].found, len(found)] == [True, True, 2]


def test_a_reserved_endpoint_is_found(make: Make) -> None:
    plugin = make()
    taken = replace(plugin.datatypes[0], endpoint="events")
    (problem,) = problems(replace(plugin, datatypes=(taken,)), "schema")
    assert "events" in problem.found


def test_one_mistake_breaks_one_rule(make: Make) -> None:
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
    assert problem.place.endswith(plugin.name)


def test_a_parser_that_raises_breaks_rules_and_nothing_else(make: Make) -> None:
    plugin = make(parsing("found[0].values.update(frame=1 / 0)"), WIRED, IMPORTED)
    found = check(plugin)
    assert {"any bytes", "keys", "samples"} <= {rule for rule in RULES if problems(plugin, rule)}
    assert all("ZeroDivisionError" in problem.found for problem in found)


DELTA: Edit = (CODE, "kind=Kind.COUNTER", "kind=Kind.DELTA")


@pytest.mark.parametrize(
    ("parser", "kept"),
    [
        ('json_parser(device="id", time="time")', True),
        ('json_parser(device="id", message_id="time")', True),
        ('json_parser(device="id", ignore=("time",))', False),
    ],
)
def test_deltas_need_a_stamp_or_a_message_id(make: Make, parser: str, kept: bool) -> None:
    plugin = make(DELTA, (CODE, PARSER, parser))
    found = problems(plugin, "deltas")
    assert len(found) == (0 if kept else 1)
    assert all("energy" in one.found and one.place.endswith("as_sent") for one in found)
    # A counter that comes again counts nothing.
    assert problems(make((CODE, PARSER, parser)), "deltas") == []


def test_each_kind_of_energy_is_counted_completely(tmp_path: Path) -> None:
    plugin = Plugin(
        origin="tests.every_kind", folder=tmp_path, datatypes=(EVERY_KIND,), registry=Registry.of(EVERY_KIND)
    )
    assert problems(plugin, "counters") == []
    fields = tuple(replace(field, greatest_rate=0.01) if field.name == "used" else field for field in EVERY_KIND.fields)
    wrong = replace(plugin, datatypes=(replace(EVERY_KIND, fields=fields),))
    assert ["0.01 kW" in problem.found for problem in problems(wrong, "counters")] == [True]
