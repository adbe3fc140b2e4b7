"""What the demonstration site has: zones, meters, what they measure, and what happens to them. Pure.

What belongs here: the site. What does not: what meters count (`year`), storing it (`write`).
"""

from __future__ import annotations

from dataclasses import dataclass

from greenpower.datatype import PointRole
from greenpower.demo.load import BAKERY, COOLING, LIGHT, MACHINES, OFFICE, PUMP, DayLoad

#: before all ids of devices, so that they can be found again
PREFIX = "DEMO-"
#: after all names
LABEL = " (simulated)"
SITE = "Demo site" + LABEL
HALL, OFFICES, YARD = (f"{name}{LABEL}" for name in ("Demo hall", "Demo offices", "Demo yard"))
ZONES = (HALL, OFFICES, YARD)
TARIFF = "Demo tariff" + LABEL
FACTOR_SOURCE = "Demo" + LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A sub-meter and what is behind it. peak: kW."""

    key: str
    name: str
    zone: str
    load: DayLoad
    peak: float

    @property
    def device_id(self) -> str:
        """On the wire."""
        return PREFIX + self.key

    @property
    def point(self) -> str:
        """The name of its meter point."""
        return f"Demo: {self.name}{LABEL}"


CONSUMERS = (
    Consumer(key="PRESSES", name="presses", zone=HALL, load=MACHINES, peak=60),
    Consumer(key="COMPRESSORS", name="compressors", zone=HALL, load=MACHINES, peak=32),
    Consumer(key="OVENS", name="ovens", zone=HALL, load=BAKERY, peak=55),
    Consumer(key="HALL-LIGHT", name="hall light", zone=HALL, load=LIGHT, peak=9),
    Consumer(key="DESKS", name="desks", zone=OFFICES, load=OFFICE, peak=18),
    Consumer(key="SERVERS", name="server room", zone=OFFICES, load=PUMP, peak=7),
    Consumer(key="AIR", name="air conditioning", zone=OFFICES, load=COOLING, peak=28),
    Consumer(key="KITCHEN", name="kitchen", zone=OFFICES, load=BAKERY, peak=14),
    Consumer(key="COLD-STORE", name="cold store", zone=YARD, load=COOLING, peak=22),
    Consumer(key="PUMPS", name="pumps", zone=YARD, load=PUMP, peak=11),
    Consumer(key="CHARGERS", name="chargers", zone=YARD, load=OFFICE, peak=44),
    Consumer(key="YARD-LIGHT", name="yard light", zone=YARD, load=LIGHT, peak=4),
)
GRID, SOLAR, GENERATOR = PREFIX + "GRID", PREFIX + "SOLAR", PREFIX + "GENERATOR"
#: kW: the solar plant at its best, the generator while it is tested
SOLAR_PEAK, GENERATOR_POWER = 260.0, 80.0
#: what is used and measured by no sub-meter, as a part of what is
UNMETERED = 0.04

SWAPPED, SWAPPED_TO = "DESKS", PREFIX + "DESKS-2"
SILENT = "KITCHEN"
SPIKED = "PUMPS"
#: its meter counts too much for a time, as with a wrong current transformer
IMBALANCED = "COMPRESSORS"
IMBALANCE_FACTOR = 1.8

#: roles of the points that are no consumers, by name
SOURCES = {
    f"Demo: grid{LABEL}": (PointRole.GRID_IMPORT, GRID),
    f"Demo: fed in{LABEL}": (PointRole.GRID_EXPORT, GRID),
    f"Demo: solar plant{LABEL}": (PointRole.SOLAR, SOLAR),
    f"Demo: generator{LABEL}": (PointRole.GENERATOR, GENERATOR),
}


def device_ids() -> tuple[str, ...]:
    """All devices of the site."""
    return (GRID, SOLAR, GENERATOR, *(consumer.device_id for consumer in CONSUMERS), SWAPPED_TO)
