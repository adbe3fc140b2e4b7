"""A meter by chance for the differential test: what happens to it, how its readings arrive, what people say of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from dataclasses import field as make
from datetime import UTC, datetime, timedelta

from tests.api.energy.chain import DECLARED, MODULUS, PLAIN_FIELDS, ROLLING_FIELD, ZONE, Stamp, aware, naive
from tests.measure.plain_count import PlainCount
from tests.measure.plain_counter import count
from tests.measure.plain_series import Number, PlainMeter, PlainSwap, Sample
from tests.measure.series import EVENTS, play, random_events

#: How often the tiers run while readings arrive.
ROUNDS = 4
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: What a reading of a past time can say; frames without a stamp are sent at the end.
NAMES = tuple(name for name in EVENTS if name != "burst")
LONGEST = timedelta(days=250)


@dataclass(slots=True)
class RandomMeter:
    """A meter. batches: (round, samples) in the order in which they are sent. burst: registers sent at the end without
    stamps. swaps: (round in which it is reported, swap). decided: verdicts by time."""

    device: str
    field: str
    meter: PlainMeter
    samples: list[Sample]
    batches: list[tuple[int, list[Sample]]]
    stamp: Stamp = aware
    burst: list[Number] = make(default_factory=list)
    swaps: list[tuple[int, PlainSwap]] = make(default_factory=list)
    powered_in: int = 0
    decides_in: int | None = None
    decided: dict[datetime, str] = make(default_factory=dict)

    def counted(self, samples: list[Sample], arrivals: set[datetime]) -> PlainCount:
        """What the plain recomputation makes of what was stored."""
        swaps = tuple(swap for _, swap in self.swaps)
        return count(samples, replace(self.meter, swaps=swaps, verdicts=self.decided), arrivals)


def make_meters(seed: int, number: int, now: datetime) -> list[RandomMeter]:
    """Meters by chance; every fifth has a twin, whose readings are the same and arrive in another way."""
    made = []
    for place in range(number):
        made.append(_make(f"{seed}-{place}", now))
        if place % 5 == 0:
            made.append(twin_of(made[-1]))
    return made


def twin_of(meter: RandomMeter) -> RandomMeter:
    """The same series on another device, delivered otherwise. Nothing is decided about it, nor about its twin."""
    meter.decides_in = None
    device = f"{meter.device}-twin"
    return replace(meter, device=device, decided={}, batches=deliver(random.Random(device), meter.samples, meter.stamp))


def _make(name: str, now: datetime) -> RandomMeter:
    chance = random.Random(name)
    rolling = chance.random() < 0.3
    power = chance.choice([None, None, None, None, 20.0, 400.0])
    events = random_events(chance, chance.randrange(4, 12), NAMES)
    while True:
        series = play(events, now)
        length = series.samples[-1][0] - now if series.samples else timedelta()
        if length < LONGEST and events:
            break
        events.pop()
    start = now - length - timedelta(seconds=chance.randrange(2 * 3600, 60 * 86_400))
    start = start.replace(microsecond=0)
    if chance.random() < 0.5:  # samples on the boundaries of stretches
        start = start.replace(minute=0, second=0)
    series = play(events, start)
    stamp = naive if chance.random() < 0.4 and not any(is_repeated(time) for time, _ in series.samples) else aware
    reported = chance.random() < 0.7
    samples = series.samples
    last = samples[-1][1] if samples else 0
    return RandomMeter(
        device=f"meter-{name}",
        field=ROLLING_FIELD if rolling else chance.choice(PLAIN_FIELDS),
        meter=replace(DECLARED, power=power, modulus=MODULUS if rolling else None),
        samples=samples,
        batches=deliver(chance, samples, stamp),
        stamp=stamp,
        burst=[last + step * 3 for step in range(1, chance.randrange(2, 9))] if chance.random() < 0.2 else [],
        swaps=[(chance.randrange(ROUNDS), swap) for swap in series.swaps] if reported else [],
        powered_in=chance.randrange(ROUNDS),
        decides_in=chance.randrange(1, ROUNDS) if chance.random() < 0.5 else None,
    )


def is_repeated(time: datetime) -> bool:
    """Whether the local clock shows this time twice."""
    local = time.astimezone(ZONE).replace(tzinfo=None)
    return local.replace(tzinfo=ZONE, fold=0).astimezone(UTC) != local.replace(tzinfo=ZONE, fold=1).astimezone(UTC)


def deliver(chance: random.Random, samples: list[Sample], stamp: Stamp) -> list[tuple[int, list[Sample]]]:
    """Samples in batches and in some order."""
    order = list(samples)
    way = chance.random()
    if way < 0.3:
        chance.shuffle(order)
    elif way < 0.5:
        order.reverse()
    cuts = sorted(chance.randrange(len(order) + 1) for _ in range(chance.randrange(6)))
    batches = [order[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    if way > 0.8:
        chance.shuffle(batches)
    rounds = sorted(chance.randrange(ROUNDS) for _ in batches)
    return list(zip(rounds, batches, strict=True))
