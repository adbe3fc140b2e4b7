"""Cases by which systems of this kind were seen to go wrong, through MQTT, ingest, rollups and the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from greenpower.stack import Mongod, Mosquitto, Valkey
from tests.api.energy.cases import CASES, VARIATIONS, Played, play_case
from tests.api.energy.chain import (
    DECLARED,
    WITH_THE_MODULUS_OF_THE_CASE,
    ZONE,
    Chain,
    aware,
    make_chain,
    millionths,
    naive,
    unstamped,
)
from tests.measure.plain_count import PlainCount
from tests.measure.plain_counter import count
from tests.measure.plain_series import Sample

HOUR, DAY, QUARTER = timedelta(hours=1), timedelta(days=1), timedelta(minutes=15)
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
#: The cases lie here: early enough to be over, late enough for every clock.
START = MIDNIGHT - 10 * DAY
PLAYED = [play_case(case, variation, START) for case in CASES for variation in VARIATIONS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A series that is given hour by hour. samples: what is sent; energies: of the hours from `begin` on."""

    name: str
    samples: tuple[Sample, ...]
    begin: datetime
    energies: tuple[str | None, ...]
    bucket: str = "hour"
    field: str = "zygsz"


def even(start: datetime, every: timedelta, first: str, step: str, number: int) -> tuple[Sample, ...]:
    """Registers that rise evenly."""
    return tuple((start + every * n, float(Decimal(first) + Decimal(step) * n)) for n in range(number))


def from_any_start() -> Iterator[Parts]:
    """Hourly samples at :10, and other times: every hour has the same, from any hour on."""
    forms = (
        (10, 60, "2", "2", 20),
        (10, 60, "2", "2", 30),
        (10, 30, "0.25", "0.5", 21),
        (7, 15, "0.001", "0.004", 33),
        (59, 60, "48.5", "48.5", 27),
        (0, 60, "2", "2", 24),
        (0, 20, "1.1", "3.3", 43),
    )
    for number, (minute, every, step, energy, hour) in enumerate(forms):
        samples = even(START + minute * HOUR / 60, every * HOUR / 60, "1000", step, 72 * 60 // every)
        yield Parts(name=f"from_any_start-{number}", samples=samples, begin=START + hour * HOUR, energies=(energy,) * 4)


def silences() -> Iterator[Parts]:
    """What was counted in a silence of any length falls into the stretch of the next sample."""
    forms = (
        (21, "1000", "zygsz"),
        (40, "1000", "zwgsz"),
        (2, "3.5", "zygsz"),
        (40, "40000", "zygsz"),
        (14, "0", "zszsz"),
    )
    for number, (days, counted, name) in enumerate(forms):
        hour = START + 21 * HOUR
        first = even(hour - days * DAY - HOUR, QUARTER, "300", "1", 8)
        begin = Decimal("307") + Decimal(counted)
        samples = (*first, *even(hour + 50 * HOUR / 60, QUARTER, str(begin), "1", 8))
        yield Parts(
            name=f"silence-{number}",
            samples=samples,
            begin=START + 20 * HOUR,
            energies=(None, counted, "4", "3"),
            field=name,
        )
        yield Parts(
            name=f"silence-by-day-{number}",
            samples=samples,
            begin=START - DAY,
            energies=(None, str(Decimal(counted) + 7), None),
            bucket="day",
            field=name,
        )


PARTS = [*from_any_start(), *silences()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Frames without stamps that come in one go. before: stamped samples before them."""

    name: str
    values: tuple[float, ...]
    total: str
    before: tuple[Sample, ...] = ()
    field: str = "zygsz"


def bursts(now: datetime) -> list[Burst]:
    """A queue of a broker, delivered at once: its frames have no times of measurement."""
    values = tuple(1000.0 + 5 * n for n in range(13))
    before = even(now - 8 * HOUR, QUARTER, "900", "1", 8)
    return [
        Burst(name="burst-0", values=values, total="60"),
        Burst(name="burst-1", values=tuple(1000 + 0.5 * n for n in range(40)), total="19.5", field="zwgsz"),
        Burst(name="burst-2", values=values, total="160", before=before),
        Burst(name="burst-3", values=(907.0,) * 5, total="7", before=before, field="zszsz"),
        Burst(name="burst-4", values=(5e6, 5e6 + 700, 5e6 + 70_000), total="70000"),
    ]


def end_of_summer() -> datetime:
    """The last time at which clocks were put back in the zone of devices."""
    time = MIDNIGHT
    while (time - HOUR).astimezone(ZONE).utcoffset() <= time.astimezone(ZONE).utcoffset():  # type: ignore[operator]
        time -= HOUR
    return time


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Naive stamps over the repeated hour, delivered in order. energies: of the hours from the first sample's."""

    name: str
    samples: tuple[Sample, ...]
    energies: tuple[str, ...]
    field: str = "zygsz"


def backlogs() -> list[Backlog]:
    again = end_of_summer()
    hour = "1", "1", "1", "1", "1", "1", "1", "1", "1"
    return [
        Backlog(name="backlog-0", samples=even(again - 3 * HOUR, QUARTER, "100", "0.25", 40), energies=("0.75", *hour)),
        Backlog(
            name="backlog-1",
            samples=even(again - 3 * HOUR, QUARTER / 3, "7000", "0.5", 120),
            energies=("5.5", *("6",) * 9),
            field="zwgsz",
        ),
        Backlog(
            name="backlog-2",
            samples=even(again - 25 * HOUR + QUARTER / 3, HOUR, "100", "3", 40),
            energies=("0", *("3",) * 39),
        ),
        Backlog(
            name="backlog-3",
            samples=even(again - HOUR, QUARTER, "100", "0.25", 40),
            energies=("0.75", *hour),
            field="zszsz",
        ),
        Backlog(name="backlog-4", samples=even(again - 3 * HOUR, QUARTER, "0.5", "0", 24), energies=("0",) * 6),
    ]


@dataclass(slots=True)
class Sent:
    """The chain after everything was sent and rolled up."""

    chain: Chain
    now: datetime
    bursts: dict[str, Burst] = field(default_factory=dict)


@pytest.fixture(scope="module")
def sent(
    tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto
) -> Iterator[Sent]:
    """All cases in all forms, each on a device of its own, sent, stored and rolled up."""
    with make_chain(tmp_path_factory.mktemp("cases"), mongod, valkey, mosquitto) as chain:
        now = datetime.now(UTC)
        for played in PLAYED:
            chain.send(played.device, played.samples, played.field)
        for parts in PARTS:
            chain.send(parts.name, parts.samples, parts.field)
        for backlog in backlogs():
            chain.send(backlog.name, backlog.samples, backlog.field, naive)
        chain.store()
        found = {burst.name: burst for burst in bursts(now)}
        for burst in found.values():
            chain.send(burst.name, burst.before, burst.field, aware)
            chain.send(burst.name, [(now, value) for value in burst.values], burst.field, unstamped)
        chain.store()
        chain.roll()
        yield Sent(chain, now, found)


def by_hand(played: Played) -> PlainCount:
    """What the plain recomputation makes of a case."""
    modulus = 838.8607 if played.field == WITH_THE_MODULUS_OF_THE_CASE else None
    return count(played.samples, replace(DECLARED, modulus=modulus))


@pytest.mark.parametrize("played", PLAYED, ids=lambda played: played.device)
def test_the_plain_recomputation_has_the_total_by_hand(played: Played) -> None:
    counted = by_hand(played)
    assert counted.total == played.total
    assert sorted(kind for kind, _ in counted.found()) == sorted(played.case.open)


@pytest.mark.parametrize("played", PLAYED, ids=lambda played: played.device)
def test_a_case_counts_what_it_should(sent: Sent, played: Played) -> None:
    """Its total by hand; its hours and its days, from several starts, as the plain recomputation has them."""
    wanted = by_hand(played)
    first, last = played.samples[0][0], played.samples[-1][0]
    rows, body = sent.chain.consumption(
        played.device, played.field, bucket="day", tz="UTC", start_time=first - DAY, end_time=last + DAY
    )
    assert millionths(body["total"]) == millionths(float(played.total))
    check(rows, wanted)
    for begin in (first - 3 * HOUR, first + (last - first) / 2, last - HOUR):
        rows, _ = sent.chain.consumption(
            played.device, played.field, bucket="hour", tz="UTC", start_time=begin, end_time=last + HOUR
        )
        check(rows, wanted)


@pytest.mark.parametrize("played", PLAYED, ids=lambda played: played.device)
def test_a_case_leaves_the_incidents_that_it_should(sent: Sent, played: Played) -> None:
    assert sent.chain.incidents(played.device) == by_hand(played).incidents


def check(rows: Sequence[dict[str, Any]], wanted: PlainCount) -> None:
    """Rows of a device, each against the plain recomputation of its stretch."""
    for row in rows:
        stretch = row["start"], row["end"]
        assert millionths(row["energy"]) == wanted.energy(*stretch), row
        assert row["samples"] == wanted.samples(*stretch), row
        assert row["silence_s"] == wanted.silence(*stretch), row


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: parts.name)
def test_a_stretch_has_one_answer_wherever_the_range_begins(sent: Sent, parts: Parts) -> None:
    length = DAY if parts.bucket == "day" else HOUR
    wanted = count(parts.samples, DECLARED)
    for earlier in (0, 1, 5):
        rows, _ = sent.chain.consumption(
            parts.name,
            parts.field,
            bucket=parts.bucket,
            tz="UTC",
            start_time=parts.begin - earlier * length,
            end_time=parts.begin + len(parts.energies) * length,
        )
        by_hand = [None if energy is None else millionths(float(energy)) for energy in parts.energies]
        assert [millionths(row["energy"]) for row in rows[earlier:]] == by_hand
        check(rows, wanted)


@pytest.mark.parametrize("number", range(5))
def test_a_queue_that_was_delivered_at_once_is_one_step(sent: Sent, number: int) -> None:
    burst = sent.bursts[f"burst-{number}"]
    begin = min(time for time, _ in (*burst.before, (sent.now, 0)))
    _, body = sent.chain.consumption(
        burst.name, burst.field, bucket="hour", tz="UTC", start_time=begin - HOUR, end_time=sent.now + HOUR
    )
    assert millionths(body["total"]) == millionths(float(burst.total))
    samples, arrivals = sent.chain.stored(burst.name, burst.field)
    assert len(samples) == len(burst.before) + len(burst.values) and len(arrivals) == len(burst.values)
    assert not [one for one in sent.chain.incidents(burst.name) if one.status == "open"]


@pytest.mark.parametrize("backlog", backlogs(), ids=lambda backlog: backlog.name)
def test_a_backlog_over_the_repeated_hour_keeps_every_reading(sent: Sent, backlog: Backlog) -> None:
    samples, _ = sent.chain.stored(backlog.name, backlog.field)
    assert samples == list(backlog.samples)
    begin = samples[0][0].replace(minute=0)
    for zone in ("UTC", ZONE.key, "Asia/Dhaka"):
        rows, _ = sent.chain.consumption(
            backlog.name,
            backlog.field,
            bucket="hour",
            tz=zone,
            start_time=begin,
            end_time=begin + len(backlog.energies) * HOUR,
        )
        assert [millionths(row["energy"]) for row in rows] == [millionths(float(energy)) for energy in backlog.energies]
        assert all(before["end"] == after["start"] for before, after in pairwise(rows))
