"""Discovery: plugins that are found, conflicts, and broken plugins."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from greenpower.catalog.conflict import Loaded
from greenpower.catalog.registry import Registry, RegistryError, discover, without_overlaps
from greenpower.cli.plugins import plugins
from greenpower.datatype import NO_TIERS, STANDARD_TIERS, DataType, Dialogue, Field, Mqtt, Tcp, json_parser
from greenpower.datatype.topic import is_within, topics_overlap
from tests.catalog.conftest import Install


def no_dialogue(claim: Tcp) -> Dialogue:
    pytest.fail("no gateway connects here")


def declare(name: str, **changes: Any) -> DataType:
    given: dict[str, Any] = {
        "name": name,
        "title": name.title(),
        "endpoint": f"{name}-data",
        "collection": f"{name}_data",
        "match": (Mqtt(f"TOPIC/{name}"),),
        "fields": (Field("volts", unit="V"),),
        "parse": json_parser(device="id"),
        "tiers": NO_TIERS,
    }
    return DataType(**{**given, **changes})


def tcp(registration: str) -> Tcp:
    return Tcp(registration=registration, dialogue=no_dialogue)


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ({"match": (Mqtt("A/B"),)}, {"match": (Mqtt("A/B"),)}, ("'a' (given)", "'b' (given)", "topic 'A/B'")),
        ({"match": (Mqtt("A/+"),)}, {"match": (Mqtt("A/{x}"),)}, ("'A/+'", "'A/{x}'")),
        ({"match": (Mqtt("+/B"),)}, {"match": (Mqtt("A/+"),)}, ("'+/B'", "'A/+'")),
        (
            {"match": (tcp("GWCCCL####"),)},
            {"match": (tcp("GWCCCL0001"),)},
            ("'GWCCCL####'", "'GWCCCL0001'"),
        ),
        (
            {"match": (tcp("GWCCCL##"),)},
            {"match": (tcp("GWCCCL####"),)},
            ("'GWCCCL##'", "'GWCCCL####'"),
        ),
        ({"collection": "same"}, {"collection": "same"}, ("collection 'same'",)),
        ({"tiers": STANDARD_TIERS}, {"collection": "today_a_data"}, ("collection 'today_a_data'",)),
        ({"endpoint": "same"}, {"endpoint": "same"}, ("endpoint 'same'",)),
    ],
)
def test_two_types_in_conflict_are_refused(one: dict[str, Any], other: dict[str, Any], named: tuple[str, ...]) -> None:
    with pytest.raises(RegistryError) as caught:
        Registry.of(declare("a", **one), declare("b", **other))
    assert all(name in str(caught.value) for name in named) and "\n" not in str(caught.value)


def test_two_types_of_one_name() -> None:
    with pytest.raises(RegistryError, match="'a'"):
        Registry.of(declare("a"), declare("a", endpoint=None, collection="x", match=(Mqtt("X"),)))


def test_one_type_that_claims_a_topic_twice() -> None:
    with pytest.raises(RegistryError, match=r"'A/\+'.*'\+/B'"):
        Registry.of(declare("a", match=(Mqtt("A/+"), Mqtt("+/B"))))


def test_every_conflict_is_reported() -> None:
    with pytest.raises(RegistryError) as caught:
        Registry.of(
            declare("a", endpoint="same", collection="same"),
            declare("b", endpoint="same", collection="same"),
            declare("a"),
        )
    assert len(str(caught.value).splitlines()) >= 4


def test_similar_types_are_no_conflict() -> None:
    registry = Registry.of(
        declare("a", match=(Mqtt("A/B"), tcp("GWAAAA####")), endpoint=None),
        declare("b", match=(Mqtt("A/B/C"), tcp("GWBBBB####")), endpoint=None),
        declare("c", match=(Mqtt("A"),)),
    )
    assert len(registry) == 3 and [datatype.name for datatype in registry] == ["a", "b", "c"]
    assert registry.topics == ("A/B", "A/B/C", "A")
    assert [datatype.name for datatype, _ in registry.gateways] == ["a", "b"]
    assert registry["b"].title == "B" and registry.get("z") is None
    with pytest.raises(KeyError):
        registry["z"]


def test_a_topic_is_matched_to_its_one_claim() -> None:
    registry = Registry.of(declare("a", match=(Mqtt("A/B", device="D"),)), declare("b", match=(Mqtt("C/+/E"),)))

    def matched(topic: str) -> str | None:
        found = registry.match_topic(topic)
        return None if found is None else found[0].name

    assert [matched(topic) for topic in ("A/B", "C/x/E", "C/x/F", "A/B/C", "", "$SYS/x")] == [
        "a",
        "b",
        None,
        None,
        None,
        None,
    ]
    found = registry.match_topic("A/B")
    assert found is not None and found[1].device == "D"


FILTERS = st.sampled_from(["#", "A/#", "A/+", "A/B", "A/+/#", "A/B/#", "A/+/C", "A/B/C", "A", "+/B"])


@given(st.lists(FILTERS, min_size=1, max_size=6, unique=True), st.sampled_from(["A", "A/B", "A/X", "A/B/C", "A/X/Y"]))
def test_the_claim_on_the_fewest_topics_counts(filters: list[str], topic: str) -> None:
    types = [declare(f"t{number}", match=(Mqtt(one),), endpoint=None) for number, one in enumerate(filters)]
    loaded = [Loaded(datatype=datatype, origin=datatype.name) for datatype in types]
    registry = without_overlaps(loaded)
    used = [datatype.topics[0].topic for datatype in registry]
    matching = [one for one in used if topics_overlap(one, topic)]
    found = registry.match_topic(topic)
    assert (found is None) == (not matching)
    if found is not None:
        assert all(is_within(found.claim.topic, one) for one in matching)
    # Every topic that is claimed is subscribed to once.
    subscribed = [one for one in registry.topics if topics_overlap(one, topic)]
    if not registry.stopped:
        assert len(subscribed) <= 1
    assert bool(subscribed) == any(topics_overlap(one, topic) for one in filters)


def test_types_whose_claims_overlap_equally_stop_only_each_other() -> None:
    types = [declare("a", match=(Mqtt("A/+"),)), declare("b", match=(Mqtt("+/B"),)), declare("c", match=(Mqtt("C/X"),))]
    registry = without_overlaps(Loaded(datatype=datatype, origin=f"from_{datatype.name}") for datatype in types)
    assert [datatype.name for datatype in registry] == ["c"]
    assert [item.loaded.datatype.name for item in registry.stopped] == ["a", "b"]
    assert all("'a' (from_a)" in text and "'b' (from_b)" in text for text in registry.warnings)
    assert registry.topics == ("C/X", "A/+", "+/B")
    assert registry.match_topic("A/X") is None
    stopped = registry.stopped_at("A/X")
    assert stopped is not None and stopped.loaded.datatype.name == "a" and registry.stopped_at("C/X") is None


def test_gateways_of_one_packet_stop_only_each_other() -> None:
    types = [declare("a", match=(tcp("GWCCCL##"),)), declare("b", match=(tcp("GWCCCL####"),)), declare("c")]
    registry = without_overlaps(Loaded(datatype=datatype, origin=datatype.name) for datatype in types)
    assert [datatype.name for datatype in registry] == ["c"] and registry.gateways == ()


def test_a_match_has_the_named_levels() -> None:
    registry = Registry.of(declare("a", match=(Mqtt("em/{device}/{channel}/{field}", device="{device}-{channel}"),)))
    for _ in range(2):
        match = registry.match_topic("em/D/0/power")
        assert match is not None and match.claim.device == "D-0"
        assert match.levels == {"device": "D", "channel": "0", "field": "power"}


def test_the_shipped_plugins_are_found() -> None:
    registry = discover()
    assert {"rt", "eny_now", "environment", "generator", "solar"} <= {datatype.name for datatype in registry}
    assert {item.origin for item in registry.loaded if item.datatype.name == "rt"} == {"plugins.rt"}


GOOD = """
from greenpower.datatype import DataType, Field, Mqtt, json_parser
def declare(name):
    return DataType(name=name, title=name, collection=name, match=(Mqtt(name),), fields=(Field("v", unit="V"),),
                    parse=json_parser(device="id"))
"""


def test_an_installed_plugin_is_found_by_its_entry_point(install: Install) -> None:
    install("gp_weather", GOOD + "DATATYPE = declare('gp_weather')")
    install("gp_water", GOOD + "DATATYPES = (declare('gp_water'), declare('gp_water_2'))", point="gp_water:DATATYPES")
    registry = discover()
    origins = {item.datatype.name: item.origin for item in registry.loaded}
    assert origins["gp_weather"] == "gp_weather" and origins["gp_water_2"] == "gp_water" and "rt" in origins


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("1 / 0", "ZeroDivisionError"),
        (
            "import gp_missing_module",
            "gp_missing_module",
        ),
        ("def", "SyntaxError"),
        ("X = 1", "DATATYPE"),
        ("DATATYPE = 1", "DATATYPE"),
        ("DATATYPES = []", "DATATYPE"),
        ("DATATYPES = ()", "DATATYPE"),
        (GOOD + "DATATYPE = declare('Bad Name')", "'Bad Name'"),
        (GOOD + "Field('x', unit='furlong')", "'furlong'"),
        (GOOD + "DATATYPE = declare('rt')", "plugins.rt"),
    ],
)
def test_a_broken_plugin_is_named(install: Install, source: str, named: str) -> None:
    install("gp_broken", source)
    with pytest.raises(RegistryError) as caught:
        discover()
    text = str(caught.value)
    assert "gp_broken" in text and named in text and "\n" not in text


def test_a_plugin_with_the_claim_of_another_one_stops_only_both(install: Install) -> None:
    install("gp_twin", GOOD.replace("Mqtt(name)", "Mqtt('MQTT_RT_DATA')") + "DATATYPE = declare('gp_twin')")
    registry = discover()
    assert {item.loaded.datatype.name for item in registry.stopped} == {"rt", "gp_twin"}
    assert "eny_now" in [datatype.name for datatype in registry]
    result = CliRunner().invoke(plugins, ["--no-fields"])
    assert result.exit_code == 0 and "rt is stopped" in result.output and "'MQTT_RT_DATA'" in result.output
    listed = json.loads(CliRunner().invoke(plugins, ["--json"]).stdout)
    assert {item["name"] for item in listed if "stopped" in item} == {"rt", "gp_twin"}
    checked = CliRunner().invoke(plugins, ["check", "gp_twin"])
    assert checked.exit_code == 1 and "plugins.rt" in checked.output


def test_every_broken_plugin_is_named(install: Install) -> None:
    install("gp_one", "1 / 0")
    install("gp_two", "X = 1")
    with pytest.raises(RegistryError, match=r"(?s)gp_one.*\n.*gp_two"):
        discover()
