"""The site as kinds of rules see it in a round: databases, the energy model, the time, and what points counted.

What belongs here: reading for several rules at once. What does not: what it means for a rule (`kinds`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pymongo.database import Database

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.datatype.unit import energy_per_hour
from greenpower.energy.amount import Amount
from greenpower.energy.point import Point, PointPart
from greenpower.energy.point_reader import PointReader
from greenpower.energy.site import EnergySite
from greenpower.mongo.client import Document

# More readings than these that the ledger does not have yet are not read for a rule: what the ledger has is judged.
MAX_RECENT_READINGS = 200_000
# So long after the end of an interval its figure is judged although messages may be on their way.
SETTLED_AFTER = timedelta(minutes=2)

Sources = Callable[[DataType], frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class SiteView:
    """The site at a moment. sources: of a data type, the names of the sources whose silence is that of its devices.
    intervals: seconds between readings that people expect, by device. past: whether a trial looks back."""

    db: Database[Document]
    registry: Registry
    settings: Settings
    site: EnergySite
    now: datetime
    sources: Sources
    intervals: Mapping[str, int] = field(default_factory=dict)
    past: bool = False

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the site's calendar."""
        return ZoneInfo(self.settings.device_timezone)

    def reader(self, points: Iterable[Point], boundaries: Sequence[datetime]) -> PointReader:
        """A reader of points between boundaries, of bounded cost. Raises PyMongoError."""
        reader = PointReader(self.db, self.registry, self.settings, points, boundaries, self.now)
        if reader.count_readings(MAX_RECENT_READINGS + 1) > MAX_RECENT_READINGS:
            reader.leave_out_recent()
        return reader

    def amounts(self, points: Sequence[Point], boundaries: Sequence[datetime]) -> Mapping[int, Sequence[Amount]]:
        """What points counted between boundaries, by the number of the point. Raises PyMongoError."""
        return self.reader(points, boundaries).read().amounts if points else {}

    def is_settled(self, amount: Amount, end: datetime) -> bool:
        """Whether an amount up to an end can be judged: nothing that would change it is on its way."""
        return amount.final or self.now >= end + SETTLED_AFTER

    def device_point(self, number: int, type_name: str, device_id: str, counter: str) -> Point | None:
        """A counter of a device as if it were a point. None where the type has no such counter of energy."""
        datatype = self.registry.get(type_name)
        names = () if datatype is None else [item for item in datatype.fields if item.name == counter]
        if not names or not names[0].kind.has_energy or energy_per_hour(names[0].unit) is None:
            return None
        part = PointPart(type=type_name, device_id=device_id, field=counter)
        return Point(number=number, name="", carrier=Carrier.ELECTRICITY, role=PointRole.LOAD, parts=(part,))
