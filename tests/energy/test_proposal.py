"""The first proposal of meter points: what is declared, what devices show, and what is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from greenpower.catalog.registry import Registry
from greenpower.datatype import (
    ENERGY_TIERS,
    NO_TIERS,
    DataType,
    DeclarationError,
    Field,
    Kind,
    Metered,
    Mqtt,
    PointRole,
    json_parser,
)
from greenpower.datatype.carrier import Carrier
from greenpower.energy.point import Point, PointPart
from greenpower.energy.proposal import MAX_PROPOSED_POINTS, MeteredDevice, Proposal, WhyNot, propose


def counter(name: str, unit: str = "kWh", kind: Kind = Kind.COUNTER, title: str = "") -> Field:
    return Field(name, unit=unit, kind=kind, title=title)


def datatype(name: str, *fields: Field, metered: tuple[Metered, ...] = (), energy: bool = True) -> DataType:
    return DataType(
        name=name,
        title=name,
        endpoint=name,
        collection=name,
        match=(Mqtt(name),),
        fields=(*fields, Field("volts", unit="V")),
        parse=json_parser(device="id"),
        tiers=ENERGY_TIERS if energy else NO_TIERS,
        metered=metered,
    )


TWO_WAY = datatype(
    "two",
    counter("used_1"),
    counter("used_2"),
    counter("sold", title="energy sold"),
    metered=(
        Metered(fields=("used_1", "used_2"), role=PointRole.GRID_IMPORT),
        Metered(fields=("sold",), role=PointRole.GRID_EXPORT),
    ),
)
PLAIN = datatype("plain", counter("energy", "Wh"))
FLOW = datatype("flow", counter("litres", "L"))
TAP = datatype("tap", counter("litres", "L"), metered=(Metered(carrier=Carrier.WATER),))
TODAY = datatype("today", counter("energy", kind=Kind.DAILY))
FROZEN = datatype("frozen", counter("energy"), energy=False)
TYPES = Registry.of(TWO_WAY, PLAIN, FLOW, TAP, TODAY, FROZEN)
Values = Mapping[tuple[str, str], Mapping[str, float]]


def device(device_id: str, *types: str, name: str = "", zone: int | None = None) -> MeteredDevice:
    return MeteredDevice(device_id=device_id, name=name, zone=zone, types=types)


def proposal(devices: Sequence[MeteredDevice], values: Values, points: Sequence[Point] = ()) -> Proposal:
    def shown(datatype: DataType, device_id: str, names: Sequence[str]) -> Mapping[str, float]:
        own = values.get((datatype.name, device_id), {})
        return {name: own[name] for name in names if name in own}

    return propose(devices, TYPES, points, shown)


def test_each_declared_counter_becomes_a_point_with_its_role_in_the_zone_of_the_device() -> None:
    found = proposal([device("M1", "two", name="Main", zone=4)], {("two", "M1"): {"used_1": 5, "used_2": 7, "sold": 1}})
    bought, sold = found.points
    assert (bought.name, bought.role, bought.zone) == ("Main", PointRole.GRID_IMPORT, 4)
    assert [part.field for part in bought.parts] == ["used_1", "used_2"]
    assert (sold.name, sold.role) == ("Main (energy sold)", PointRole.GRID_EXPORT)
    assert not found.left_out and not found.more


def test_what_is_not_declared_is_the_first_counter_as_a_load() -> None:
    [point] = proposal([device("P1", "plain")], {("plain", "P1"): {"energy": 1.0}}).points
    assert point.parts == (PointPart(type="plain", device_id="P1", field="energy"),)
    assert (point.name, point.role, point.carrier) == ("P1", PointRole.LOAD, Carrier.ELECTRICITY)
    [point] = proposal([device("T1", "tap")], {("tap", "T1"): {"litres": 1.0}}).points
    assert point.carrier is Carrier.WATER


@pytest.mark.parametrize(
    ("type_name", "values", "why"),
    [
        ("plain", {}, WhyNot.NOT_SHOWN),
        ("plain", {"energy": 0}, WhyNot.NOTHING_COUNTED),
        ("flow", {"litres": 5}, WhyNot.OTHER_UNIT),
    ],
)
def test_what_makes_no_point_is_said(type_name: str, values: dict[str, float], why: WhyNot) -> None:
    found = proposal([device("D", type_name)], {(type_name, "D"): values})
    assert not found.points
    assert [item.why for item in found.left_out] == [why]


def test_a_counter_of_the_day_may_show_nothing_yet() -> None:
    assert proposal([device("D", "today")], {("today", "D"): {"energy": 0}}).points


def test_of_several_counters_those_that_count_are_added_up() -> None:
    [point] = proposal([device("M", "two")], {("two", "M"): {"used_1": 5, "used_2": 0, "sold": 0}}).points
    assert [part.field for part in point.parts] == ["used_1"]


def test_types_whose_energy_is_not_kept_make_no_point() -> None:
    found = proposal([device("D", "frozen", "gone")], {("frozen", "D"): {"energy": 9}})
    assert not found.points and not found.left_out


def test_what_is_a_part_of_a_point_is_not_proposed_again() -> None:
    values = {("two", "M"): {"used_1": 5.0, "used_2": 7.0, "sold": 1.0}, ("plain", "P"): {"energy": 3.0}}
    devices = [device("M", "two"), device("P", "plain")]
    first = proposal(devices, values)
    made = [
        Point(number=number, name=point.name, carrier=point.carrier, role=point.role, parts=point.parts)
        for number, point in enumerate(first.points, 1)
    ]
    again = proposal(devices, values, made)
    assert not again.points and again.in_points == 3
    some = proposal(devices, values, made[1:])
    assert some.points == first.points[:1]


def test_names_are_unique_and_not_too_long() -> None:
    devices = [device(f"P{number}", "plain", name="x" * 200) for number in range(3)]
    values = {("plain", item.device_id): {"energy": 1.0} for item in devices}
    taken = Point(number=1, name="y", carrier=Carrier.ELECTRICITY, role=PointRole.LOAD, parts=())
    values["plain", "y"] = {"energy": 1.0}
    names = [point.name for point in proposal([*devices, device("y", "plain")], values, [taken]).points]
    assert len({*names, "y"}) == 5 and max(map(len, names)) <= 120


def test_a_proposal_has_an_end_and_the_next_one_goes_on() -> None:
    devices = [device(f"P{number:04}", "plain") for number in range(MAX_PROPOSED_POINTS + 1)]
    values = {("plain", item.device_id): {"energy": 1.0} for item in devices}
    found = proposal(devices, values)
    assert len(found.points) == MAX_PROPOSED_POINTS and found.more
    made = [
        Point(number=number, name=point.name, carrier=point.carrier, role=point.role, parts=point.parts)
        for number, point in enumerate(found.points, 1)
    ]
    rest = proposal(devices, values, made)
    assert [point.name for point in rest.points] == [devices[-1].device_id] and not rest.more


@pytest.mark.parametrize("metered", [(Metered(fields=("volts",)),), (Metered(fields=("energy", "energy")),)])
def test_a_declaration_that_cannot_be_is_refused(metered: tuple[Metered, ...]) -> None:
    with pytest.raises(DeclarationError, match="metered"):
        datatype("bad", counter("energy"), metered=metered)
