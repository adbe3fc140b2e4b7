"""Rolling up readings of devices with what lies around them, as far as their fields need it.

What a counter counted in a stretch depends on the register before it, on a fall that is still open there, and on
samples around. Most stretches need four readings before; those are read for many devices at once (`before`). Where a
counter needs more, it is read for that counter alone, in stages (`device_rolling`). What a gauge is at the start of a
stretch is the sample before it (`leads`). The jobs, on-the-fly buckets and consumption use this one function, so that a
stretch has one answer.

What belongs here: what is read for many devices at once. What does not: what the samples mean (`greenpower.measure`).
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pymongo.collection import Collection

from greenpower.measure.roll import Rolled
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected
from greenpower.mongo.energy.before import NOTHING_BEFORE, Before, RollContext
from greenpower.mongo.energy.carries import NEWEST_BUCKETS
from greenpower.mongo.energy.device_rolling import STAGES_BEFORE, DeviceRolling
from greenpower.mongo.energy.leads import Leads, find_leads
from greenpower.mongo.energy.ledger_part import day_of
from greenpower.mongo.energy.ledger_read import counters_held
from greenpower.mongo.energy.oldest import OldestOf
from greenpower.mongo.rollups.source import newest_before

DEVICES_PER_LOOK = 100


def roll_devices(
    context: RollContext,
    source: Collection[Document],
    before: Mapping[str, Before],
    inside: Mapping[str, Sequence[Document]],
    begin: datetime,
    end: datetime,
    length: int,
    *,
    slots: bool = False,
) -> Iterator[tuple[str, Rolled]]:
    """The buckets of `[begin, end)` of devices. before: what is known of them; inside: their readings in the stretch,
    as `read_inside` gives them.

    slots: its quarter-hours as well. Those that need more samples before it read them together. Raises PyMongoError.
    """
    devices = list(inside)
    for first in range(0, len(devices), DEVICES_PER_LOOK):
        some = devices[first : first + DEVICES_PER_LOOK]
        oldest = OldestOf(context.db, context.datatype, some)
        rollings = [
            DeviceRolling(
                context,
                source,
                device,
                before.get(device, NOTHING_BEFORE),
                inside[device],
                (begin, end),
                length,
                oldest,
                slots=slots,
            )
            for device in some
        ]
        _find_held(context, rollings)
        rolled = _begun(context, source, rollings, begin)
        short = [rolling.device for rolling, one in zip(rollings, rolled, strict=True) if rolling.waits(one)]
        more: dict[str, tuple[Sequence[Document] | None, Sequence[Document]]] = {}
        if short:
            for device, readings, buckets, _ in newest_before(
                source, context.tier, short, begin, STAGES_BEFORE[0], NEWEST_BUCKETS
            ):
                kept = corrected(readings, device, context.corrections)
                # Where people left out some of them, as many more lie before these.
                more[device] = (None if len(kept) < len(readings) == STAGES_BEFORE[0] else kept, buckets)
        for rolling, one in zip(rollings, rolled, strict=True):
            yield rolling.device, rolling.finished(one, more.get(rolling.device))


def _find_held(context: RollContext, rollings: Sequence[DeviceRolling]) -> None:
    """What is open at the end of the newest bucket is in it. Where the tier has none, the ledger tells."""
    without = [rolling for rolling in rollings if rolling.known.readings and not rolling.known.buckets]
    if not without or not context.spec.counters:
        return
    days = sorted({day_of(reading["timestamp"]) for rolling in without for reading in rolling.known.readings})
    devices = [rolling.device for rolling in without]
    held = counters_held(context.db, context.datatype.name, devices, sorted(context.spec.counters), days)
    for rolling in without:
        rolling.held = held.get(rolling.device, set())


def _begun(
    context: RollContext, source: Collection[Document], rollings: Sequence[DeviceRolling], begin: datetime
) -> list[Rolled]:
    """Each rolled up with what is known. The samples before that the newest readings do not have are read together."""

    def read(wanted: Mapping[str, AnyOf[str]]) -> None:
        leads = find_leads(source, wanted, begin, context.corrections) if wanted else {}
        for rolling in rollings:
            if rolling.device in wanted:
                rolling.lead(wanted[rolling.device], leads.get(rolling.device, Leads()))

    read({rolling.device: names for rolling in rollings if (names := rolling.lacking())})
    rolled = [rolling.begun() for rolling in rollings]
    # Fields that come later in the stretch than its first reading.
    late = {
        rolling.device: names
        for rolling, one in zip(rollings, rolled, strict=True)
        if one.leadless and (names := rolling.unknown(one.leadless))
    }
    read(late)
    return [rolling.begun() if rolling.device in late else one for rolling, one in zip(rollings, rolled, strict=True)]
