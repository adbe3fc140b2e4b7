"""Which counters of a data type stand for a meter point, so that a site has meter points before people make any.

What belongs here: the declaration. What does not: meter points, which people make and change (`greenpower.energy`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.datatype.error import DeclarationError
from greenpower.datatype.field import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """Counters that are added up to one meter point.

    fields: their names; none: the first counter of the type, for types whose counters the site file names. role: the
    part that such a point mostly plays; people can change it. carrier: what it measures.
    """

    fields: tuple[str, ...] = ()
    role: PointRole = PointRole.LOAD
    carrier: Carrier = Carrier.ELECTRICITY


def check_metered(metered: Iterable[Metered], fields: Iterable[Field]) -> None:
    """Raise DeclarationError for what is no counter, and for a counter that stands for two points."""
    counters = {field.name for field in fields if field.kind.has_energy}
    names = Counter(name for item in metered for name in item.fields)
    if unknown := [name for name in names if name not in counters]:
        raise DeclarationError(f"metered {', '.join(unknown)} is not a counter")
    if repeated := [name for name, count in names.items() if count > 1]:
        raise DeclarationError(f"metered {', '.join(repeated)} is named twice")
