"""The site file: its shape, its changes, and one line for every problem."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from greenpower.catalog.facts import counters, daily_counters
from greenpower.catalog.registry import Registry, RegistryError, discover, get_registry, load_registry
from greenpower.cli.main import group
from greenpower.config import ConfigError
from greenpower.datatype import DataType, Field, Frame, Kind, Mqtt, Tcp
from greenpower.datatype.carrier import PointRole
from greenpower.datatype.check import Checker
from greenpower.datatype.metered import Metered
from greenpower.framing.poll import ModbusPoll

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "site.toml"


def load(tmp_path: Path, text: str) -> Registry:
    path = tmp_path / "site.toml"
    path.write_text(text, "utf-8")
    return load_registry(path)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(group, ["site", *arguments], env=environment)


def field(datatype: DataType, name: str) -> Field:
    return next(field for field in datatype.fields if field.name == name)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert tuple(load(tmp_path, "")) == tuple(discover())


def test_topics_replace_those_of_the_plugin(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """
        [types.environment]
        topics = [{ topic = "a/env", device = "ENV_A" }, { topic = "b/+/env", device_level = 1 }]
        """,
    )
    environment = registry["environment"]
    assert environment.topics == (Mqtt("a/env", device="ENV_A"), Mqtt("b/+/env", device_level=1))
    assert registry.match_topic("CCCL/PURBACHAL/ENV_01") is None
    for topic, device in (("a/env", "ENV_A"), ("b/ROOF/env", "ROOF")):
        match = registry.match_topic(topic)
        assert match is not None
        assert match[0] is environment
        assert match[1].device == device
        (reading,) = environment.parse(Frame(topic=topic, payload=b'{"hum(%)":50}', device=match[1].device))
        assert reading.device_id == device


def test_noted_topics_stay_unless_the_site_gives_its_own(tmp_path: Path) -> None:
    noted = Mqtt("MQTT_TELEIND", noted="digital inputs and outputs")
    registry = load(tmp_path, '[types.rt]\ntopics = [{ topic = "x/RT" }]')
    assert registry["rt"].topics == (Mqtt("x/RT"), noted)
    registry = load(tmp_path, '[types.rt]\ntopics = [{ topic = "x/RT" }, { topic = "x/IO", noted = "switches" }]')
    assert registry["rt"].topics == (Mqtt("x/RT"), Mqtt("x/IO", noted="switches"))


def test_fields_are_changed_and_added(tmp_path: Path) -> None:
    rt = load(
        tmp_path,
        """
        [types.rt]
        stale_after = 700
        [types.rt.fields]
        ua = { high = 300 }
        door = { unit = "1", kind = "state", source = ["DI1"], title = "door" }
        """,
    )["rt"]
    assert field(rt, "ua") == Field(
        "ua", unit="V", low=0, high=300, title="voltage, phase A", measures="voltage", phase="a"
    )
    assert field(rt, "door") == Field("door", unit="1", kind=Kind.STATE, source=("DI1",), title="door")
    assert rt.stale_after == 700
    assert Checker(rt).check({"ua": 301, "ub": 301, "di1": 1}) == ({"ub": 301, "door": 1}, {"ua": "out-of-range"})


def test_the_site_says_which_counters_are_metered(tmp_path: Path) -> None:
    sold = '{ fields = ["fygsz"], role = "grid_export" }'
    registry = load(tmp_path, f'[types.eny_now]\nmetered = [{{ fields = ["zygsz"] }}, {sold}]')
    assert registry["eny_now"].metered == (
        Metered(fields=("zygsz",), role=PointRole.LOAD),
        Metered(fields=("fygsz",), role=PointRole.GRID_EXPORT),
    )
    for given in ('{ fields = ["dmpmax"] }', '{ fields = ["nothing"] }', f"{sold}, {sold}", '{ fields = [] }',
                  '{ fields = ["zygsz"], role = "sink" }'):  # fmt: skip
        with pytest.raises(RegistryError, match=r"types\.eny_now\.metered"):
            load(tmp_path, f"[types.eny_now]\nmetered = [{given}]")


def test_greatest_power_bounds_the_registers_of_energy_in_their_own_units(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """
        [types.eny_now]
        greatest_power = 2500
        fields.fygsz = { greatest_rate = 10 }
        [types.solar]
        greatest_power = 2500
        """,
    )
    rates = {item.name: item.greatest_rate for item in registry["eny_now"].fields}
    assert (rates["zygsz"], rates["zwgsz"], rates["zszsz"], rates["fygsz"]) == (2500, 2500, 2500, 10)
    assert rates["dmpmax"] is None
    assert field(registry["solar"], "active_energy_delivered").greatest_rate == 2_500_000


def test_a_field_of_another_kind_has_the_limits_of_that_kind(tmp_path: Path) -> None:
    eny_now = load(
        tmp_path,
        """
        [types.eny_now.fields]
        zygsz = { kind = "net" }
        zwgsz = { kind = "net", low = -5, greatest_rate = 10 }
        fygsz = { kind = "daily" }
        zszsz = { kind = "gauge" }
        """,
    )["eny_now"]
    zygsz, zwgsz, fygsz, zszsz = (field(eny_now, name) for name in ("zygsz", "zwgsz", "fygsz", "zszsz"))
    assert [item.kind for item in (zygsz, zwgsz, fygsz, zszsz)] == [Kind.NET, Kind.NET, Kind.DAILY, Kind.GAUGE]
    assert (zygsz.low, zygsz.high, zygsz.greatest_rate) == (-(10**10), 10**10, 100_000)
    assert (zwgsz.low, zwgsz.greatest_rate) == (-5, 10)
    assert (fygsz.low, fygsz.greatest_rate) == (0, 100_000)
    assert zszsz.greatest_rate is None
    assert {"zygsz", "fygsz"} < set(counters(eny_now)) and "zszsz" not in counters(eny_now)
    assert daily_counters(eny_now) == ("fygsz",)
    # Of another kind, it is not the quantity that was declared.
    assert [bool(item.measures) for item in (zygsz, fygsz, zszsz)] == [True, False, False]


def test_points_get_names(tmp_path: Path) -> None:
    generator = load(
        tmp_path,
        """
        [types.generator.points]
        1 = { name = "voltage_a", unit = "V", high = 300, title = "voltage" }
        21 = { name = "active_energy", unit = "kWh", kind = "counter" }
        """,
    )["generator"]
    payload = b'{"data":[{"tp":0,"point":[{"id":1,"val":229.8},{"id":21,"val":5},{"id":3,"val":7}]}]}'
    (reading,) = generator.parse(Frame(topic="t", payload=payload))
    assert Checker(generator).check(reading.values)[0] == {"voltage_a": 229.8, "active_energy": 5, "3": 7}
    assert field(generator, "active_energy").kind is Kind.COUNTER


def test_modbus_maps_replace_those_of_the_plugin(tmp_path: Path) -> None:
    solar = load(
        tmp_path,
        """
        [types.solar]
        gateways = ["PLANT##"]
        fields.frequency = { unit = "Hz" }
        [types.solar.modbus]
        timeout = 5
        [[types.solar.modbus.blocks]]
        register = 3110
        layout = "float32"
        fields = ["frequency", "", "current_a"]
        unit = 7
        """,
    )["solar"]
    poll = solar.parse
    assert isinstance(poll, ModbusPoll)
    assert (poll.timeout, poll.silence) == (5, 300)
    assert [item.name for item in solar.fields] == ["current_a", "frequency"]
    (claim,) = solar.gateways
    dialogue = claim.dialogue(claim)
    dialogue.receive(b"PLANT07", 0)
    asked = dialogue.take_output()
    assert asked.hex(" ") == "00 01 00 00 00 06 07 03 0c 25 00 06"
    dialogue.receive(poll.answer(asked, {"frequency": 50, "current_a": 2.5}), 1)
    ((payload, _),) = dialogue.take_frames()
    (reading,) = solar.parse(Frame(topic="tcp/solar/PLANT07", payload=payload, device="PLANT07"))
    assert (reading.device_id, reading.values) == ("PLANT07", {"frequency": 50, "current_a": 2.5})


def test_modbus_maps_may_have_any_order_scale_and_function(tmp_path: Path) -> None:
    solar = load(
        tmp_path,
        """
        [types.solar]
        gateways = [{ registration = "mac:D4AD20######", heartbeat = "hex:FE" }]
        fields.frequency = { unit = "Hz" }
        fields.relay = { unit = "1", kind = "state" }
        [types.solar.modbus]
        framing = "rtu"
        every = 15
        [[types.solar.modbus.blocks]]
        register = 1
        points = [
            { field = "frequency", register = 1, layout = "uint32", factor = 0.001, not_implemented = [0xFFFFFFFF] },
            { field = "current_a", register = 3, layout = "int16", scale = 4 },
        ]
        word_order = "little"
        [[types.solar.modbus.blocks]]
        register = 9
        function = 2
        layout = "bit"
        fields = ["relay"]
        """,
    )["solar"]
    poll = solar.parse
    assert isinstance(poll, ModbusPoll)
    assert (poll.framing, poll.every) == ("rtu", 15)
    (claim,) = solar.gateways
    assert (claim.registration, claim.heartbeat) == ("mac:D4AD20######", "hex:FE")
    talk = claim.dialogue(claim)
    talk.receive(b"D4AD20A1B2C3", 0)
    for _ in range(2):
        asked = talk.take_output()
        talk.receive(poll.answer(asked, {"frequency": 49.98, "current_a": 12.5, "relay": 1}), 1)
    ((payload, _),) = talk.take_frames()
    (reading,) = solar.parse(Frame(topic="", payload=payload, device="D4AD20A1B2C3"))
    assert reading.values == {"frequency": 49.98, "current_a": 12.5, "relay": 1}


def test_the_rhythm_may_change_without_the_requests(tmp_path: Path) -> None:
    before = discover()["solar"].parse
    poll = load(tmp_path, "[types.solar.modbus]\nevery = 30")["solar"].parse
    assert isinstance(before, ModbusPoll) and isinstance(poll, ModbusPoll)
    assert (poll.every, poll.timeout, poll.blocks) == (30, before.timeout, before.blocks)


MODBUS = '[[modbus]]\nhost = "10.0.0.5"\n'
ONE_DEVICE = "devices = [{ type = 'solar', device = 'A' }]\n"


def test_devices_that_are_dialled(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        MODBUS
        + """
        framing = "rtu"
        every = 30
        devices = [
            { type = "solar", device = "ROOF-1" },
            { type = "solar", device = "ROOF-2", unit = 2, every = 5 },
        ]
        """,
    )
    (solar, one), (_, two) = registry.dialled
    assert solar.name == "solar" and solar.gateways, "gateways connect as before"
    assert (one.address, one.device, one.unit, one.every) == ("10.0.0.5:502", "ROOF-1", 1, 30)
    assert (two.framing, two.device, two.unit, two.every) == ("rtu", "ROOF-2", 2, 5)
    assert one.topic("solar") == "modbus/solar/ROOF-1"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (MODBUS, "modbus.0.devices: is missing"),
        (MODBUS + "devices = []", "modbus.0.devices: "),
        (MODBUS + "devices = [{ type = 'sola', device = 'A' }]", "modbus.0.devices.0: unknown data type 'sola'"),
        (
            MODBUS + "devices = [{ type = 'rt', device = 'A' }]",
            "modbus.0.devices.0: this data type does not",
        ),
        (MODBUS + "devices = [{ type = 'solar', device = '' }]", "modbus.0.devices.0: "),
        (MODBUS + "devices = [{ type = 'solar', device = 'A', unit = 256 }]", "modbus.0.devices.0: unit 256"),
        (MODBUS + "every = 0\n" + ONE_DEVICE, "modbus.0.every: "),
        (MODBUS + "framing = 'ascii'\n" + ONE_DEVICE, "modbus.0.framing: "),
        (
            MODBUS + "devices = [{ type = 'solar', device = 'A' }, { type = 'solar', device = 'A', unit = 2 }]",
            "modbus.0.devices.1: modbus.0.devices.0 has the device 'A' already",
        ),
        (
            MODBUS + ONE_DEVICE + MODBUS + "framing = 'rtu'\n" + ONE_DEVICE.replace("'A'", "'B'"),
            "modbus.1.devices.0: 10.0.0.5:502 is dialled already",
        ),
        ("[[telegrams]]\nhost = 'h'\nport = 1\ntype = 'solar'", "telegrams.0: solar does not read telegrams"),
    ],
)
def test_dialled_devices_that_cannot_be(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(RegistryError, match=re.escape(f"site.toml: {place}")):
        load(tmp_path, text)


def test_new_registrations_keep_the_requests_of_the_plugin(tmp_path: Path) -> None:
    before = discover()["solar"]
    solar = load(tmp_path, '[types.solar]\ngateways = ["AB##", "CD##"]')["solar"]
    assert [claim.registration for claim in solar.gateways] == ["AB##", "CD##"]
    assert solar.parse is before.parse
    assert isinstance(before.match[0], Tcp)


PROBLEMS: list[tuple[str, str]] = [
    ("[types", ""),
    ("type = 1", "type: "),
    ("types = 1", "types: "),
    ("[types.genrator]", "types.genrator: "),
    ("[types.rt]\ntopic = 'x'", "types.rt.topic: "),
    ("[types.rt]\ntopics = []", "types.rt.topics: "),
    ("[types.rt]\ntopics = ['x']", "types.rt.topics.0: "),
    ("[types.rt]\ntopics = [{ device = 'x' }]", "types.rt.topics.0.topic: "),
    ("[types.rt]\ntopics = [{ topic = 'a' }, { topic = 'a/#/b' }]", "types.rt.topics.1: topic 'a/#/b' "),
    ("[types.rt]\ntopics = [{ topic = 'a', device_level = 3 }]", "types.rt.topics.0: topic 'a' "),
    (
        "[types.environment]\ntopics = [{ topic = 'a' }]",
        "types.environment.topics.0: device or device_level ",
    ),
    ("[types.solar]\ntopics = [{ topic = 'a' }]", "types.solar.topics: "),
    ("[types.rt]\ngateways = ['GW##']", "types.rt.gateways: "),
    ("[types.solar]\ngateways = ['GW##', '##']", "types.solar.gateways.1: registration '##'"),
    ("[types.rt.fields]\nua = { unit = 'volts' }", "types.rt.fields.ua.unit: unknown unit 'volts'"),
    ("[types.rt.fields]\nua = { kind = 'x' }", "types.rt.fields.ua.kind: "),
    ("[types.rt.fields]\nua = { high = -5 }", "types.rt.fields.ua: field 'ua': low=0 "),
    ("[types.rt.fields]\nua = { high = inf }", "types.rt.fields.ua.high: "),
    ("[types.rt.fields]\nua = { greatest_rate = 5 }", "types.rt.fields.ua: field 'ua': greatest_rate is for kind"),
    ("[types.rt.fields]\nnew = { low = 5 }", "types.rt.fields.new: unit "),
    ("[types.rt.fields]\nNew = { unit = 'V' }", "types.rt.fields.New: field 'New': "),
    (
        "[types.rt.fields]\nnew = { unit = 'V', source = ['UA'] }",
        "types.rt: data type 'rt': ",
    ),
    ("[types.generator.points]\n1 = { unit = 'V' }", "types.generator.points.1.name: "),
    ("[types.generator.points]\n1 = { name = 'a' }", "types.generator.points.1.unit: "),
    ("[types.generator.points]\n1 = { name = 'A', unit = 'V' }", "types.generator.points.1: field 'A': "),
    (
        "[types.generator.points]\n1 = { name = 'a', unit = 'V' }\n2 = { name = 'a', unit = 'V' }",
        "types.generator.points.2: the field 'a' ",
    ),
    ("[types.rt.modbus]\nblocks = [{ register = 1, layout = 'int16', fields = ['ua'] }]", "types.rt.modbus: "),
    ("[types.solar.modbus]\nblocks = []", "types.solar.modbus.blocks: "),
    ("[types.solar.modbus]\ntimeout = 0\nblocks = []", "types.solar.modbus.timeout: "),
    (
        "[[types.solar.modbus.blocks]]\nregister = 1\nlayout = 'float16'\nfields = ['current_a']",
        "types.solar.modbus.blocks.0.layout: unknown layout 'float16'",
    ),
    (
        "[[types.solar.modbus.blocks]]\nregister = 0\nlayout = 'int16'\nfields = ['current_a']",
        "types.solar.modbus.blocks.0: ",
    ),
    (
        "[[types.solar.modbus.blocks]]\nregister = 1\nlayout = 'int16'\nfields = ['volts']",
        "types.solar.modbus.blocks.0.fields: unknown field 'volts'",
    ),
    (
        "[[types.solar.modbus.blocks]]\nregister = 1\nlayout = 'int16'\nfields = ['current_a', 'current_a']",
        "types.solar.modbus: ",
    ),
]


@pytest.mark.parametrize(("text", "problem"), PROBLEMS, ids=[problem for _, problem in PROBLEMS])
def test_every_problem_is_one_line_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(RegistryError) as caught:
        load(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert [line for line in lines if line.removeprefix(f"{tmp_path}/site.toml: ").startswith(problem)], lines


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(RegistryError) as caught:
        load(
            tmp_path,
            """
            [types.x]
            [types.rt.fields]
            ua = { high = -1 }
            ub = { high = -1 }
            [types.environment]
            topics = [{ topic = "a" }, { topic = "b" }]
            """,
        )
    assert len(str(caught.value).splitlines()) == 5


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00", None])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "site.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RegistryError, match=str(path)) as caught:
        load_registry(path)
    assert len(str(caught.value).splitlines()) == 1


def test_the_example_is_valid_and_shows_every_key() -> None:
    result = run("check", str(EXAMPLE))
    assert result.exit_code == 0
    text = EXAMPLE.read_text("utf-8")
    for name in ("topics", "gateways", "greatest_power", "stale_after", "fields", "points", "modbus"):
        assert name in text


def test_check_prints_one_line_per_problem_and_exits_with_1(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("[types.x]\n[types.y]\n")
    result = run("check", str(path))
    assert result.exit_code == 1
    assert [line.split(": ")[1] for line in result.output.splitlines()] == ["types.x", "types.y"]


def test_check_names_types_that_stop_each_other(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("[types.rt]\ntopics = [{ topic = 'MQTT_ENY_NOW' }]")
    assert {item.loaded.datatype.name for item in load_registry(path).stopped} == {"rt", "eny_now"}
    result = run("check", str(path))
    assert result.exit_code == 1 and "'eny_now' (plugins.eny_now) and 'rt' (plugins.rt) " in result.output


def test_check_uses_the_file_from_the_settings() -> None:
    assert run("check", GREENPOWER_SITE=str(EXAMPLE)).exit_code == 0
    result = run("check")
    assert isinstance(result.exception, ConfigError)


def test_the_registry_of_a_process_has_the_site_file_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENPOWER_SITE", str(EXAMPLE))
    get_registry.cache_clear()
    try:
        assert get_registry()["rt"].stale_after == 700
    finally:
        get_registry.cache_clear()


def test_the_schema_describes_every_key() -> None:
    schema: dict[str, Any] = json.loads(run("schema").output)
    for definition in [schema, *schema["$defs"].values()]:
        assert definition["description"]
        for name, item in definition.get("properties", {}).items():
            assert item.get("description"), name
    assert "register" in schema["$defs"]["SiteBlock"]["properties"]


def test_a_site_may_declare_a_field_as_another_kind(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """
        [types.eny_now]
        greatest_power = 80
        [types.rt.fields.used]
        unit = "kWh"
        kind = "delta"
        [types.eny_now.fields.zygsz]
        kind = "net"
        [types.rt.fields.relay]
        unit = "1"
        kind = "enumeration"
        codes = { 0 = "open", 1 = "closed" }
        [types.rt.fields.alarms]
        unit = "1"
        kind = "enumeration"
        codes = { 0 = "fan", 12 = "door" }
        bits = true
        """,
    )
    rt, register = registry["rt"], field(registry["eny_now"], "zygsz")
    assert (field(rt, "used").kind, register.kind) == (Kind.DELTA, Kind.NET)
    assert register.greatest_rate == 80
    assert field(rt, "relay").codes == {0: "open", 1: "closed"} and not field(rt, "relay").bits
    assert Checker(rt).check({"ua": 230, "relay": "CLOSED", "alarms": "door"})[0] == {
        "ua": 230,
        "relay": 1,
        "alarms": 4096,
    }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('codes = { 0 = "off" }', "codes"),
        ('kind = "enumeration"\nunit = "1"', "codes"),
        ('kind = "enumeration"\nunit = "1"\ncodes = { a = "off" }', "codes"),
        ('kind = "counterish"', "kind"),
    ],
)
def test_codes_that_cannot_be_are_named_with_their_place(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(RegistryError) as caught:
        load(tmp_path, f"[types.rt.fields.ua]\n{text}")
    [line] = str(caught.value).splitlines()
    assert "types.rt.fields.ua" in line and named in line


def test_a_site_says_how_values_are_sent(tmp_path: Path) -> None:
    environment = load(
        tmp_path,
        """
        [units.cfm]
        quantity = "air flow"
        definition = "foot**3 / minute"

        [types.environment.fields]
        power = { unit = "kW", sent_in = "W", source = ["meter.0.p"], low = 0, high = 5 }
        fan = { unit = "1", kind = "state", words = { on = 1, off = 0 } }
        flow = { unit = "cfm", sent_in = "m³/h" }
        level = { unit = "%", scale = 0.1 }
        hum_percent = { scale = "0.01", sent_in = "1" }
        """,
    )["environment"]
    payload = b'{"meter":[{"p":64.2}],"fan":"ON","flow":1.69901079552,"level":123,"hum(%)":55}'
    (reading,) = environment.parse(Frame(topic="t", payload=payload, device="D"))
    found, left_out = Checker(environment).check(reading.values)
    assert found == {"power": 0.0642, "fan": 1, "flow": pytest.approx(1), "level": 12.3, "hum_percent": 55}
    assert left_out == {}
    assert field(environment, "flow").unit == "cfm"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[units.'a b']\nquantity = 'x'", "units.a b: "),
        ("[units.cfm]\ndefinition = 'x'", "units.cfm.quantity: "),
        ("[types.rt.fields]\nua = { sent_in = 'A' }", "types.rt: field 'ua': sent_in='A'"),
        ("[types.rt.fields]\nua = { sent_in = 'gibberish' }", "types.rt: field 'ua': sent_in='gibberish'"),
        ("[types.rt.fields]\nua = { scale = 0 }", "types.rt.fields.ua: field 'ua': scale=0"),
        ("[types.rt.fields]\nua = { scale = 'x' }", "types.rt.fields.ua: field 'ua': scale='x'"),
        ("[types.rt.fields]\nua = { words = { on = 'x' } }", "types.rt.fields.ua.words.on: "),
        ("[types.generator.points]\n1 = { name = 'a', unit = 'volts' }", "types.generator.points.1.unit: unknown unit"),
    ],
)
def test_a_mistake_in_how_values_are_sent_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(RegistryError) as caught:
        load(tmp_path, text)
    assert problem in str(caught.value)
