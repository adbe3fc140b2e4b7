"""Energy from power and from registers: the quick integral equals a plain one, and windows leave out what they must."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from greenpower.wiring.integral import BRIDGED_SECONDS, LEAST_STEPS, PowerIntegral, windows

MINUTE, HOUR = 60.0, 3_600.0


def plain(times: list[float], powers: list[float], end: float, parts: int = 400) -> tuple[float, float]:
    """kWh (above 0, below 0) up to a time: straight lines between samples in many thin slices."""
    forward = backward = 0.0
    for number in range(len(times) - 1):
        begin, until = times[number], min(times[number + 1], end)
        if until <= begin or times[number + 1] - begin > BRIDGED_SECONDS:
            continue
        width = (until - begin) / parts
        for part in range(parts):
            share = (width * (part + 0.5)) / (times[number + 1] - begin)
            power = powers[number] + share * (powers[number + 1] - powers[number])
            forward += max(power, 0.0) * width / HOUR
            backward += max(-power, 0.0) * width / HOUR
    return forward, backward


@pytest.mark.parametrize("seed", range(4))
def test_the_integral_equals_a_plain_one(seed: int) -> None:
    random = Random(seed)
    times, powers = [0.0], [random.uniform(-5, 5)]
    for _ in range(60):
        times.append(times[-1] + random.choice((10.0, 60.0, 60.0, 61.5, 900.0)))
        powers.append(random.uniform(-5, 5))
    integral = PowerIntegral(times, powers)
    for _ in range(20):
        end = random.uniform(0, times[-1])
        found = integral.at(end)
        if found is None:
            assert any(one < end < other and other - one > BRIDGED_SECONDS for one, other in pairwise(times))
            continue
        assert found[:2] == pytest.approx(plain(times, powers, end), rel=1e-3, abs=1e-4)
    assert integral.total == pytest.approx(plain(times, powers, times[-1]), rel=1e-3, abs=1e-4)


def test_no_window_goes_over_a_gap_or_a_fall() -> None:
    times = [number * MINUTE for number in range(600)]
    gap = range(200, 260)
    kept = [time for number, time in enumerate(times) if number not in gap]
    register = [100 + number * 0.1 if number < 400 else 20 + number * 0.1 for number in range(600)]
    found = windows(PowerIntegral(kept, [6.0] * len(kept)), times, register, digit=0.1)
    assert found
    for window in found:
        assert window.rise == pytest.approx(window.forward, rel=0.01)
        assert window.end <= times[200] or window.begin >= times[259]
        assert not window.begin < times[400] <= window.end
        assert window.rise >= LEAST_STEPS * 0.1


def test_a_power_that_says_nothing_is_a_gap() -> None:
    times = [number * MINUTE for number in range(120)]
    powers = [None if number == 60 else 1.0 for number in range(120)]
    integral = PowerIntegral(times, powers)
    assert integral.total[0] == pytest.approx((119 - 2) / 60)
    register = [number / 60 for number in range(120)]
    for window in windows(integral, times, register, digit=0.001):
        assert not window.begin < 60 * MINUTE < window.end
