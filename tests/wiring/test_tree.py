"""Children above their parent: found where it is certain, and never where something is missing."""

from __future__ import annotations

from random import Random

import pytest

from greenpower.datatype import PointRole
from greenpower.wiring.outcome import NotAsked, Passed, WiringFinding
from greenpower.wiring.tree import PointDay, ask_children

QUARTERS = 96
LOAD = PointRole.LOAD


def point(name: str, values: list[float | None], role: PointRole = LOAD) -> PointDay:
    return PointDay(number=1, name=name, role=role, quarters=values)


def day(size: float, seed: int = 0) -> list[float | None]:
    random = Random(seed)
    return [round(size * random.uniform(0.5, 1.5), 2) for _ in range(QUARTERS)]


def total(*days: list[float | None], share: float = 1.0) -> list[float | None]:
    return [round(share * sum(value or 0 for value in values), 2) for values in zip(*days, strict=True)]


def test_children_of_a_wrong_ratio_are_found_and_the_largest_is_named() -> None:
    one, two = day(1.0, 1), day(0.5, 2)
    parent = total(one, two, share=1.2)
    wrong = [value * 4 for value in one if value is not None]
    found = ask_children(point("Main", parent), [point("Hall", [*wrong]), point("Shop", two)])
    assert isinstance(found, WiringFinding)
    assert found.name == "children_above_parent" and "Hall alone" in found.saw
    # A plain sum of the same quarter-hours.
    below = sum(wrong) + sum(value for value in two if value is not None)
    assert found.figures["parent_kwh"] == pytest.approx(sum(value for value in parent if value is not None))
    assert found.figures["children_kwh"] == pytest.approx(below)


@pytest.mark.parametrize("share", [0.98, 1.0, 1.5])
def test_children_within_the_tolerance_are_right(share: float) -> None:
    one, two = day(1.0, 1), day(0.5, 2)
    assert ask_children(point("Main", total(one, two, share=share)), [point("a", one), point("b", two)]) == Passed(24)


def test_what_the_parent_does_not_know_does_not_count() -> None:
    one = day(1.0, 1)
    parent: list[float | None] = [None if 20 <= at < 60 else value for at, value in enumerate(one)]
    assert ask_children(point("Main", parent), [point("a", one)]) == Passed(14)
    gone = point("Main", [None] * QUARTERS)
    assert isinstance(ask_children(gone, [point("a", one)]), NotAsked)


def test_what_a_child_does_not_know_makes_no_fault() -> None:
    one = day(1.0, 1)
    silent: list[float | None] = [*[None] * 40, *one[40:]]
    assert ask_children(point("Main", one), [point("a", silent)]) == Passed(24)


@pytest.mark.parametrize(
    ("parent", "child", "others"),
    [
        (LOAD, PointRole.SOLAR, ()),
        (PointRole.GRID_IMPORT, LOAD, (PointRole.SOLAR,)),
        (PointRole.GRID_IMPORT, PointRole.BATTERY_IN, ()),
    ],
)
def test_energy_from_elsewhere_is_not_asked(parent: PointRole, child: PointRole, others: tuple[PointRole, ...]) -> None:
    found = ask_children(point("Main", day(1), parent), [point("a", day(5), child)], others)
    assert isinstance(found, NotAsked)


def test_a_night_in_single_steps_of_the_register_is_right() -> None:
    """A parent that counts whole kWh, and children in hundredths."""
    child: list[float | None] = [0.3] * QUARTERS
    parent: list[float | None] = [1.0 if at % 4 == 3 else 0.0 for at in range(QUARTERS)]
    parent = [value if at % 24 else 2.0 for at, value in enumerate(parent)]
    assert isinstance(ask_children(point("Main", parent), [point("a", child)]), Passed)
