"""Meters for the rollup benchmarks, each with a walk of its own: what many meters send compresses as little as theirs.

Imports nothing of greenpower. What does not belong here: the frames of the ingest benchmark (`frames`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tools.bench.frames import FIELDS, ZONE

# How far a value goes from one reading to the next, as a share of its usual value.
STEP_SHARE = 0.005

Walked = tuple[str, datetime, dict[str, Any]]


def walks(meters: int, begin: datetime, spacing: timedelta, rounds: int) -> Iterator[Walked]:
    """(device, time, payload) of 40 fields, by time: so many rounds of a reading of every meter. The meters of a round
    are spread over its spacing, at whole seconds."""
    random = Random(1)
    names, decimals = list(FIELDS), [places for _, places in FIELDS.values()]
    scales = [STEP_SHARE * abs(usual) for usual, _ in FIELDS.values()]
    levels = [[usual * random.uniform(0.9, 1.1) for usual, _ in FIELDS.values()] for _ in range(meters)]
    offsets = [timedelta(seconds=int(meter * spacing.total_seconds() / meters)) for meter in range(meters)]
    for turn in range(rounds):
        for meter in range(meters):
            level = [value + scale * random.uniform(-1, 1) for value, scale in zip(levels[meter], scales, strict=True)]
            levels[meter] = level
            values = map(round, level, decimals)
            yield f"33B19{meter:08d}", begin + turn * spacing + offsets[meter], dict(zip(names, values, strict=True))


def frame(device: str, at: datetime, payload: dict[str, Any]) -> bytes:
    """The frame that a meter sends a reading in."""
    values = ",".join(f'"{key}":{value}' for key, value in payload.items())
    return f'{{"id":"{device}",{values},"time":"{at.astimezone(ZONE):%Y%m%d%H%M%S}","isend":"1"}}'.encode()
