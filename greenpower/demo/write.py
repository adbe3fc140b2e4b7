"""Making the demonstration: devices, zones, points and tariff in SQL, readings in MongoDB, and their rollups.

What belongs here: storing it, in this order, so that readings are computed with what the registry says. What does not:
what the site is (`site`), what its meters show (`year`), removing it (`remove`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType, Field, PointRole
from greenpower.datatype.carrier import Carrier
from greenpower.demo import site
from greenpower.demo.year import QUARTER, YEAR, DemoSpan, MeterReading, readings
from greenpower.energy.amount import per_count
from greenpower.energy.point import PointPart
from greenpower.energy.proposal import metered
from greenpower.mongo.client import Document
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.energy.ledger_part import DAY
from greenpower.mongo.readings.document import ReadingDocument
from greenpower.mongo.rollups.unfinished import Renewal, Unfinished, Work, unfinished
from greenpower.mongo.rollups.watermarks import read_progress
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, INVALIDATIONS, WATERMARKS
from greenpower.rollups.backfill import backfill
from greenpower.sql.audit_entry import AuditEntry, AuditObject
from greenpower.sql.device import Device, DeviceType
from greenpower.sql.emission_factor import EmissionFactor
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.tariff import StoredTariffVersion, Tariff
from greenpower.sql.time import now

TOPIC = "demo"
READINGS_PER_WRITE = 10_000
#: digits after the point that a register shows, by counts for each kWh
DECIMALS = {1.0: 2, 1000.0: 0}
GREATEST_POWER = 500.0
INTERVAL_SECONDS = 1_800
KWH = Carrier.ELECTRICITY.unit
_OF_KWH = per_count(KWH, KWH) or 1

Say = Callable[[str], None]


class DemoError(Exception):
    """The demonstration cannot be made or removed. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRegister:
    """A counter that demonstration meters show. counts: for each kWh."""

    datatype: DataType
    field: str
    counts: float

    def show(self, energy: float) -> float:
        """What it shows for a total in kWh."""
        return round(energy * self.counts, DECIMALS.get(self.counts, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRegisters:
    """The counters that stand for each role, of the types that are in force."""

    grid: DemoRegister
    fed_in: DemoRegister
    solar: DemoRegister

    @classmethod
    def choose(cls, registry: Registry) -> DemoRegisters:
        """Raises DemoError where there is no type with both registers of a grid meter."""
        found = {
            role: [one for datatype in registry for one in _registers(datatype, role)]
            for role in (PointRole.GRID_IMPORT, PointRole.GRID_EXPORT, PointRole.SOLAR)
        }
        for grid in found[PointRole.GRID_IMPORT]:
            for fed_in in found[PointRole.GRID_EXPORT]:
                if grid.datatype is fed_in.datatype:
                    solar = next(iter(found[PointRole.SOLAR]), grid)
                    return cls(grid=grid, fed_in=fed_in, solar=solar)
        raise DemoError("no data type in force has an import and an export register: the demonstration needs one")

    def of(self, device_id: str) -> DemoRegister:
        """The counter of a device's total."""
        return self.solar if device_id == site.SOLAR else self.grid


def make_demo(
    settings: Settings,
    session: Session | scoped_session[Any],
    db: Database[Document],
    registry: Registry,
    say: Say = lambda line: None,
    length: timedelta = YEAR,
    end: datetime | None = None,
) -> DemoSpan:
    """Make the demonstration. length: of it, a multiple of 48 hours. end: default now.

    Raises DemoError, SQLAlchemyError, PyMongoError. Interrupted, it can be removed, and made again.
    """
    if session.scalar(select(Device.id).where(Device.device_id == site.GRID)) is not None:
        raise DemoError("there is a demonstration already; `greenpower demo --remove` removes it")
    registers = DemoRegisters.choose(registry)
    span = DemoSpan.until(end or now(), length)
    zone = settings.device_timezone
    types = {one.datatype.name: one.datatype for one in (registers.grid, registers.solar)}
    _make_site(session, registers, span, zone)
    say(f"made {len(site.device_ids())} devices in {len(site.ZONES)} zones, with meter points and a tariff")
    write_settings(db[DEVICE_SETTINGS], _device_settings(session))
    session.rollback()
    with ExitStack() as notes:
        # Before the first reading: of times that the rollups have passed no answer is final until it is computed.
        renewals = [notes.enter_context(unfinished(db[INVALIDATIONS], _unfinished(name, span))) for name in types]
        _store(db, registers, span, zone, types, renewals, say)
        for datatype in types.values():
            since = span.begin if _is_up_to_date(db, datatype, span) else None
            # Until what rollups do by themselves.
            until = None if end is None or since is None else span.end + DAY
            backfill(db, datatype, settings, since=since, until=until, report=lambda *_: _renew(renewals))
    say("computed the rollups")
    return span


def _unfinished(type_name: str, span: DemoSpan) -> Unfinished:
    return Unfinished.of(type_name, Work.DEMO, span.begin, span.end + QUARTER, site.device_ids())


def _renew(renewals: Iterable[Renewal]) -> None:
    for renewal in renewals:
        renewal()


def _store(
    db: Database[Document],
    registers: DemoRegisters,
    span: DemoSpan,
    zone: str,
    types: Mapping[str, DataType],
    renewals: Sequence[Renewal],
    say: Say,
) -> None:
    count = 0
    documents = _documents(registers, readings(span, ZoneInfo(zone)))
    while some := list(islice(documents, READINGS_PER_WRITE)):
        for datatype in types.values():
            if own := [document for name, document in some if name == datatype.name]:
                db[datatype.collection].insert_many(own, ordered=False)
                count += len(own)
        _renew(renewals)
    say(f"stored {count} readings from {span.begin:%Y-%m-%d} to {span.end:%Y-%m-%d %H:%M} UTC")


def had_meter_points(session: Session | scoped_session[Any]) -> bool:
    """Whether there is a meter point, or ever was one: a demonstration that was removed does not come back. Raises
    SQLAlchemyError."""
    there = session.scalar(select(MeterPoint.id).limit(1))
    of_points = select(AuditEntry.id).where(AuditEntry.object_type == AuditObject.METER_POINT.value).limit(1)
    return there is not None or session.scalar(of_points) is not None


def _is_up_to_date(db: Database[Document], datatype: DataType, span: DemoSpan) -> bool:
    """Whether the tiers of a type are computed, so that only the year of the demonstration has to be."""
    states = [read_progress(db[WATERMARKS], datatype.name, tier.prefix) for tier in datatype.tiers]
    return all(state.watermark is not None and state.watermark > span.end - timedelta(days=1) for state in states)


def _registers(datatype: DataType, role: PointRole) -> Iterator[DemoRegister]:
    fields: dict[str, Field] = {field.name: field for field in datatype.fields}
    for item in metered(datatype):
        if item.role is role and item.carrier is Carrier.ELECTRICITY:
            for name in item.fields[:1]:
                if (of_one := per_count(fields[name].unit, KWH)) is not None:
                    yield DemoRegister(datatype=datatype, field=name, counts=_OF_KWH / of_one)


def _documents(registers: DemoRegisters, shown: Iterable[MeterReading]) -> Iterator[tuple[str, Document]]:
    received = now()
    for one in shown:
        register = registers.of(one.device_id)
        payload: dict[str, int | float] = {register.field: register.show(one.total)}
        if one.exported is not None:
            payload[registers.fed_in.field] = registers.fed_in.show(one.exported)
        document = ReadingDocument(  # type: ignore[typeddict-item]  # MongoDB gives the _id
            device_id=one.device_id,
            topic=TOPIC,
            timestamp=one.time,
            received_at=received,
            updated_at=received,
            payload=payload,
            complete=True,
        )
        yield register.datatype.name, dict(document)


def _make_site(session: Session | scoped_session[Any], registers: DemoRegisters, span: DemoSpan, timezone: str) -> None:
    """All of it in one transaction."""
    outer = ServiceZone(name=site.SITE, description="Made by `greenpower demo`. Nothing in it was measured.")
    session.add(outer)
    session.flush()
    zones = {name: ServiceZone(name=name, parent_id=outer.id) for name in site.ZONES}
    session.add_all(zones.values())
    session.flush()
    names = {
        site.GRID: ("Demo grid meter", outer.id),
        site.SOLAR: ("Demo solar plant", outer.id),
        site.GENERATOR: ("Demo generator", outer.id),
        **{one.device_id: (f"Demo {one.name}", zones[one.zone].id) for one in site.CONSUMERS},
    }
    old = next(one for one in site.CONSUMERS if one.key == site.SWAPPED)
    names[site.SWAPPED_TO] = (f"Demo {old.name}, new meter", zones[old.zone].id)
    for device_id, (name, zone_id) in names.items():
        session.add(
            Device(
                device_id=device_id,
                name=name + site.LABEL,
                zone_id=zone_id,
                interval_seconds=INTERVAL_SECONDS,
                greatest_power=GREATEST_POWER,
                replaces=old.device_id if device_id == site.SWAPPED_TO else None,
                replaced_by=site.SWAPPED_TO if device_id == old.device_id else None,
                types=[DeviceType(type=registers.of(device_id).datatype.name)],
            )
        )
    tariff = _tariff(span, timezone)
    session.add(tariff)
    session.flush()
    for name, (role, device_id) in site.SOURCES.items():
        register = registers.fed_in if role is PointRole.GRID_EXPORT else registers.of(device_id)
        parts = [_part(register, device_id)]
        paying = role in (PointRole.GRID_IMPORT, PointRole.GRID_EXPORT)
        session.add(_point(name, role, parts, outer.id, tariff.id if paying else None))
    # What a register shows at the time of the exchange was counted by the old meter.
    change = span.swap + QUARTER
    for consumer in site.CONSUMERS:
        parts = [_part(registers.grid, consumer.device_id, ends_at=change if consumer is old else None)]
        if consumer is old:
            parts.append(_part(registers.grid, site.SWAPPED_TO, begins_at=change))
        point = _point(consumer.point, PointRole.LOAD, parts, zones[consumer.zone].id, None)
        point.tariff_id = tariff.id
        session.add(point)
    for role, kg in ((PointRole.GRID_IMPORT, "0.38"), (PointRole.SOLAR, "0.04"), (PointRole.GENERATOR, "0.80")):
        session.add(
            EmissionFactor(
                carrier=Carrier.ELECTRICITY.value,
                role=role.value,
                valid_from=(span.begin - timedelta(days=1)).date(),
                kg_per_unit=kg,
                source=site.FACTOR_SOURCE,
            )
        )
    session.commit()


def _tariff(span: DemoSpan, timezone: str) -> Tariff:
    """Time of use, dearer in the second half of the year."""
    changed = (span.begin + (span.end - span.begin) / 2).date()
    versions = [
        StoredTariffVersion(valid_from=day, content=_content(*prices), created_by=None)
        for day, prices in (
            ((span.begin - timedelta(days=1)).date(), ("0.29", "0.19", "0.08", "11.50")),
            (changed, ("0.32", "0.21", "0.075", "12.40")),
        )
    ]
    return Tariff(
        name=site.TARIFF, carrier=Carrier.ELECTRICITY.value, currency="EUR", timezone=timezone, versions=versions
    )


def _content(day: str, night: str, fed_in: str, demand: str) -> dict[str, Any]:
    always = {"days": list(range(8)), "months": list(range(1, 13)), "begin": "00:00", "end": "24:00"}
    return {
        "rates": [
            {**always, "name": "night", "price": night, "direction": "import", "begin": "22:00", "end": "06:00"},
            {**always, "name": "day", "price": day, "direction": "import"},
            {**always, "name": "fed in", "price": fed_in, "direction": "export"},
        ],
        "standing": [{"name": "meter", "price": "0.55", "per": "day"}],
        "demand": {"name": "peak", "price": demand, "minutes": 15, "free": "0"},
        "holidays": [],
    }


def _part(
    register: DemoRegister, device_id: str, *, begins_at: datetime | None = None, ends_at: datetime | None = None
) -> PointPart:
    return PointPart(
        type=register.datatype.name,
        device_id=device_id,
        field=register.field,
        begins_at=begins_at,
        ends_at=ends_at,
    )


def _point(name: str, role: PointRole, parts: Sequence[PointPart], zone_id: int, tariff_id: int | None) -> MeterPoint:
    return MeterPoint(
        name=name,
        description="Of the demonstration: nothing was measured.",
        carrier=Carrier.ELECTRICITY.value,
        role=role.value,
        parts=[part.stored() for part in parts],
        zone_id=zone_id,
        tariff_id=tariff_id,
    )


def _device_settings(session: Session | scoped_session[Any]) -> list[DeviceSettings]:
    rows = session.scalars(select(Device).where(Device.device_id.in_(site.device_ids())))
    return [
        DeviceSettings(
            device_id=row.device_id,
            updated_at=row.updated_at,
            interval_seconds=row.interval_seconds,
            greatest_power=row.greatest_power,
            zone_id=row.zone_id,
        )
        for row in rows
    ]
