"""Registers that a site declares as net or daily, through MQTT, ingest, rollups and the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from greenpower.measure.local_time import day_end
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.stack import Mongod, Mosquitto, Valkey
from tests.api.energy.chain import (
    DAILY_FIELDS,
    DECLARED,
    NET_FIELDS,
    TYPE,
    ZONE,
    Chain,
    make_chain,
    millionths,
)
from tests.api.energy.test_cases import DAY, HOUR, MIDNIGHT, QUARTER, START, check, end_of_summer
from tests.measure.plain_count import PlainCount
from tests.measure.plain_counter import count
from tests.measure.plain_series import Number, Sample

NET_CASE = ("100", "99.9", "99.8", "99.7", "99.6", "99.5", "99.4", "99.3")
DAILY_CASE = ("6.1", "6.3", "0", "6.3", "0.1", "0.2", "0.3", "0.4")
KATHMANDU, HAVANA = ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/Havana")


def midnight(day: datetime, zone: tzinfo = ZONE) -> datetime:
    """The first local midnight after a time."""
    return day_end(day.astimezone(zone).date(), zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A register in one of its forms. total: by hand; zone: of the device, None where it has none of its own."""

    device: str
    field: str
    kind: str
    samples: tuple[Sample, ...]
    total: Decimal
    open: tuple[str, ...] = ()
    zone: ZoneInfo | None = None

    @property
    def wanted(self) -> PlainCount:
        return count(self.samples, replace(DECLARED, kind=self.kind, zone=self.zone or ZONE))


def series(start: datetime, every: timedelta, values: Sequence[Decimal]) -> tuple[Sample, ...]:
    return tuple((start + every * number, float(value)) for number, value in enumerate(values))


def nets() -> Iterator[Form]:
    forms = (
        ("1", "0", QUARTER, timedelta(), NET_FIELDS[0]),
        ("7", "-600", QUARTER, timedelta(), NET_FIELDS[1]),
        ("-1", "0", HOUR, 9 * HOUR, NET_FIELDS[0]),
        ("0.3", "-29.9", timedelta(minutes=5), timedelta(hours=23, minutes=35, seconds=7), NET_FIELDS[0]),
        ("40", "12", timedelta(hours=7), timedelta(), NET_FIELDS[1]),
    )
    for number, (factor, offset, every, start, name) in enumerate(forms):
        values = [Decimal(value) * Decimal(factor) + Decimal(offset) for value in NET_CASE]
        yield Form(
            device=f"net-{number}",
            field=name,
            kind="net",
            samples=series(START + start, every, values),
            total=Decimal("-0.7") * Decimal(factor),
        )
    spiked = [*map(Decimal, NET_CASE[:4]), Decimal(9_000), *map(Decimal, NET_CASE[4:])]
    yield Form(
        device="net-spike",
        field=NET_FIELDS[0],
        kind="net",
        samples=series(START, QUARTER, spiked),
        total=Decimal("-0.7"),
    )
    level = [*map(Decimal, NET_CASE[:4]), *(Decimal(value) - 4_000 for value in NET_CASE[4:])]
    yield Form(
        device="net-level",
        field=NET_FIELDS[1],
        kind="net",
        samples=series(START, QUARTER, level),
        total=Decimal("-0.6"),
        open=("suspect_step",),
    )
    yield Form(
        device="net-as-counter",
        field="zygsz",
        kind="counter",
        samples=series(START, QUARTER, [Decimal(value) for value in NET_CASE]),
        total=Decimal(0),
        open=("small_fall",),
    )


def dailies() -> Iterator[Form]:
    summer_ends = end_of_summer()
    forms: tuple[tuple[str, timedelta, datetime, str, ZoneInfo | None], ...] = (
        ("1", QUARTER, midnight(START), DAILY_FIELDS[0], None),
        ("3", QUARTER, midnight(START + DAY), DAILY_FIELDS[1], None),
        ("0.2", timedelta(minutes=5), midnight(START), DAILY_FIELDS[0], None),
        ("1", QUARTER, midnight(START) + timedelta(minutes=9), DAILY_FIELDS[0], None),
        ("1", QUARTER, midnight(START, KATHMANDU), DAILY_FIELDS[0], KATHMANDU),
        ("0.5", QUARTER, midnight(START, HAVANA), DAILY_FIELDS[1], HAVANA),
        ("1", QUARTER, midnight(summer_ends - DAY), DAILY_FIELDS[0], None),
        ("1", QUARTER, midnight(summer_ends), DAILY_FIELDS[1], None),
    )
    for number, (factor, every, at, name, zone) in enumerate(forms):
        values = [Decimal(value) * Decimal(factor) for value in DAILY_CASE]
        yield Form(
            device=f"daily-{number}",
            field=name,
            kind="daily",
            samples=series(at - 2 * every, every, values),
            total=Decimal("0.6") * Decimal(factor),
            zone=zone,
        )
    for number, (minutes, zone) in enumerate(((60, None), (15, KATHMANDU), (60, HAVANA))):
        yield steady(f"days-{number}", minutes, zone)
    late = midnight(START)
    silent: tuple[Sample, ...] = ((late - 3 * HOUR, 5.0), (late - 2 * HOUR, 5.5), (late + 7 * HOUR, 6.0))
    yield Form(
        device="daily-silent", field=DAILY_FIELDS[0], kind="daily", samples=silent, total=Decimal("0.5") + Decimal(6)
    )
    idle = series(late - 30 * HOUR, HOUR, [Decimal(0)] * 60)
    yield Form(device="daily-idle", field=DAILY_FIELDS[1], kind="daily", samples=idle, total=Decimal(0))


def steady(device: str, minutes: int, zone: ZoneInfo | None) -> Form:
    """Four days of use, also over a change of clocks; a register that shows what was used since midnight."""
    own, every = zone or ZONE, timedelta(minutes=minutes)
    here = end_of_summer() - 2 * DAY
    shown, samples, total = Decimal(0), [], 0
    day = here.astimezone(own).date()
    while here < end_of_summer() + 2 * DAY:
        shown = shown + Decimal("0.2") if here.astimezone(own).date() == day else Decimal("0.2")
        day = here.astimezone(own).date()
        samples.append((here, float(shown)))
        here, total = here + every, total + 1
    counted = Decimal("0.2") * (total - 1)
    return Form(device=device, field=DAILY_FIELDS[0], kind="daily", samples=tuple(samples), total=counted, zone=zone)


FORMS = [*nets(), *dailies()]


@pytest.fixture(scope="module")
def sent(
    tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto
) -> Iterator[Chain]:
    """All forms, each on a device of its own, sent, stored and rolled up."""
    with make_chain(tmp_path_factory.mktemp("kinds"), mongod, valkey, mosquitto) as chain:
        for form in FORMS:
            if form.zone is not None:
                register(chain, form.device, form.zone.key)
        for form in FORMS:
            chain.send(form.device, form.samples, form.field)
        chain.store()
        chain.roll()
        yield chain


def register(chain: Chain, device: str, zone: str) -> int:
    """Register a device with a time zone of its own. Returns its id."""
    body = {"device_id": device, "name": device, "timezone": zone}
    headers = {"Authorization": f"Bearer {chain.tokens['access']}"}
    response = chain.client.post("/api/devices/", json=body, headers=headers)
    assert response.status_code == 201, response.text
    number: int = response.get_json()["id"]
    return number


def move(chain: Chain, number: int, zone: str | None) -> None:
    headers = {"Authorization": f"Bearer {chain.tokens['access']}"}
    response = chain.client.patch(f"/api/devices/{number}/", json={"timezone": zone}, headers=headers)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.device)
def test_a_register_counts_what_it_should(sent: Chain, form: Form) -> None:
    """Its total by hand; its hours and days, from several starts, as the plain recomputation has them."""
    wanted = form.wanted
    assert wanted.total == form.total
    first, last = form.samples[0][0], form.samples[-1][0]
    rows, body = sent.consumption(
        form.device, form.field, bucket="day", tz=(form.zone or ZONE).key, start_time=first - DAY, end_time=last + DAY
    )
    assert millionths(body["total"]) == millionths(float(form.total))
    check(rows, wanted)
    for begin in (first - 3 * HOUR, first + (last - first) / 2, last - HOUR):
        end = min(last, begin + 2 * DAY) + HOUR
        rows, _ = sent.consumption(form.device, form.field, bucket="hour", tz="UTC", start_time=begin, end_time=end)
        check(rows, wanted)
    assert sent.incidents(form.device) == wanted.incidents
    assert sorted(kind for kind, _ in wanted.found()) == sorted(form.open)


@pytest.mark.parametrize("form", [form for form in FORMS if form.kind != "counter"], ids=lambda form: form.device)
def test_every_tier_has_the_same_energy(sent: Chain, form: Form) -> None:
    wanted = form.wanted
    first, last = form.samples[0][0], form.samples[-1][0]
    for resolution in ("30m", "3h", "6h"):
        body = sent.body(
            "",
            device_id=form.device,
            resolution=resolution,
            start_time=(first - DAY).isoformat(),
            end_time=(last + DAY).isoformat(),
            stats="true",
            page_size=1000,
        )
        buckets = [row for row in body["results"] if form.field in row["stats"]]
        assert buckets and sum(row["stats"][form.field]["n"] for row in buckets) == len(wanted.steps)


@pytest.mark.parametrize("form", [form for form in FORMS if form.total < 0], ids=lambda form: form.device)
def test_a_net_register_is_negative_in_every_answer(sent: Chain, form: Form) -> None:
    """Months from day totals, and the sum over devices."""
    first = form.samples[0][0]
    rows, body = sent.consumption(
        form.device, form.field, bucket="month", tz="UTC", start_time=first - 40 * DAY, end_time=MIDNIGHT
    )
    assert sum(row["energy"] or 0 for row in rows) == pytest.approx(float(form.total), abs=1e-9)
    assert body["total"] < 0 and body["device"]["total"] == body["total"]


def test_a_zone_that_changes_turns_what_was_counted(sent: Chain) -> None:
    late = midnight(START)
    samples: list[tuple[datetime, Number]] = [(late - 3 * HOUR, 5.0), (late + 3 * HOUR, 6.0), (late + 4 * HOUR, 6.2)]
    sent.send("moves", samples, DAILY_FIELDS[0])
    sent.store()
    sent.roll()
    number = register(sent, "moves", ZONE.key)
    invalidated = sent.database[INVALIDATIONS]
    for zone, total in ((None, 6.2), ("America/Los_Angeles", 1.2), ("Europe/Berlin", 6.2), ("Asia/Tokyo", 1.2)):
        move(sent, number, zone)
        if zone is not None:
            assert invalidated.count_documents({"type": TYPE, "device_id": "moves"})
        sent.roll()
        _, body = sent.consumption(
            "moves", DAILY_FIELDS[0], bucket="day", tz="UTC", start_time=START, end_time=late + DAY
        )
        assert millionths(body["total"]) == millionths(total)


def test_recent_energy_is_that_of_the_ledger(sent: Chain) -> None:
    """What the ledger has not come to yet is rolled when somebody asks, by the same rules and in the same zone."""
    now = datetime.now(UTC).replace(microsecond=0)
    samples = series(now - 40 * HOUR, HOUR, [Decimal(5 - number) / 10 for number in range(40)])
    sent.send("recent-net", samples, NET_FIELDS[0])
    local = steady_since(now - 40 * HOUR, now)
    sent.send("recent-daily", local, DAILY_FIELDS[0])
    sent.store()
    before = [total_of(sent, "recent-net", NET_FIELDS[0], now), total_of(sent, "recent-daily", DAILY_FIELDS[0], now)]
    sent.roll()
    after = [total_of(sent, "recent-net", NET_FIELDS[0], now), total_of(sent, "recent-daily", DAILY_FIELDS[0], now)]
    assert after == [-3_900_000, 200_000 * 39]
    assert before == after or before == [None, None]


def steady_since(start: datetime, end: datetime) -> list[Sample]:
    found: list[Sample] = []
    here, day, shown = start, start.astimezone(ZONE).date(), Decimal(0)
    while here < end:
        if here.astimezone(ZONE).date() != day:
            day, shown = here.astimezone(ZONE).date(), Decimal(0)
        shown += Decimal("0.2")
        found.append((here, float(shown)))
        here += HOUR
    return found


def total_of(chain: Chain, device: str, name: str, now: datetime) -> int | None:
    _, body = chain.consumption(device, name, bucket="hour", tz="UTC", start_time=now - 2 * DAY, end_time=now + HOUR)
    return millionths(body["total"])
