"""Meter points below a meter point: together they cannot have more energy than it has. Pure.

What belongs here: the comparison of one point's day with that of the points right below it. What does not: reading what
points counted (`point_days`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median

from greenpower.datatype import PointRole
from greenpower.wiring.figures import in_words
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="children_above_parent",
    title="Points below a meter point have more energy than it",
    look="Check the CT ratio of the parent and of the largest point below it, and whether each truly lies below the "
    "parent. Current that takes another way, such as a second feed or an inverter behind the parent, belongs into the "
    "tree as a point of its own.",
)
CHILDREN_CHECK = "children"
QUARTERS_PER_HOUR = 4
LEAST_HOURS = 4
#: of the hours compared, so many must show it
SHARE_OF_HOURS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDay:
    """What a point counted in the quarter-hours of a day, in kWh: None where that is not known for certain."""

    number: int
    name: str
    role: PointRole
    quarters: Sequence[float | None]


def ask_children(parent: PointDay, children: Sequence[PointDay], other_sources: Collection[PointRole] = ()) -> Outcome:
    """Whether children have more than their parent. other_sources: roles of points elsewhere that bring energy.

    A quarter-hour that is not known of the parent does not count; one that is not known of a child counts as none, so
    missing data hides a fault and makes none.
    """
    if not children:
        return NotAsked("no points lie below it")
    if any(child.role not in (PointRole.LOAD, parent.role) for child in children):
        return NotAsked("a point below it brings or takes energy of another kind")
    if parent.role.is_source and other_sources:
        return NotAsked(f"energy comes from elsewhere, too: {', '.join(sorted(other_sources))}")
    hours = _hours(parent, children)
    counted = [(above, below) for above, below in hours if above > 0 or sum(below) > 0]
    if len(counted) < LEAST_HOURS:
        return NotAsked(f"{len(counted)} hours with energy are known of the parent; {LEAST_HOURS} are needed")
    total, below = (
        sum(above for above, _ in counted),
        [sum(own) for own in zip(*(low for _, low in counted), strict=True)],
    )
    steps = [value for point in (parent, *children) for value in point.quarters if value]
    room = limit("children") * total + 2 * min(steps, default=0.0)
    faulty = sum(sum(low) > above for above, low in counted)
    if sum(below) <= total + room or faulty < SHARE_OF_HOURS * len(counted):
        return Passed(len(counted))
    largest = max(range(len(children)), key=below.__getitem__)
    alone = ""
    if below[largest] > total + room and total > 0:
        ratios = [low[largest] / above for above, low in counted if above > 0]
        alone = f"; {children[largest].name} alone has {in_words(median(ratios))} as much" if ratios else ""
    return WiringFinding(
        fault=FAULT, circuit="", certainty=Certainty.LIKELY,
        saw=f"In {len(counted)} hours {parent.name} counted {total:.4g} kWh, and the {len(children)} below it "
        f"{sum(below):.4g} kWh{alone}.",
        figures={"parent_kwh": total, "children_kwh": sum(below)}, faulty=faulty, samples=len(counted),
    )  # fmt: skip


def _hours(parent: PointDay, children: Sequence[PointDay]) -> list[tuple[float, list[float]]]:
    """Of each whole hour that is known of the parent: what it had, and what each child had."""
    found = []
    for first in range(0, len(parent.quarters) - QUARTERS_PER_HOUR + 1, QUARTERS_PER_HOUR):
        part = slice(first, first + QUARTERS_PER_HOUR)
        own = [value for value in parent.quarters[part] if value is not None]
        if len(own) == QUARTERS_PER_HOUR:
            found.append((sum(own), [sum(value or 0.0 for value in child.quarters[part]) for child in children]))
    return found
