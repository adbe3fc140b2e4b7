"""Tiers: the collections beside the raw one, each with a window length and a retention of its own."""

from __future__ import annotations

from dataclasses import dataclass

from greenpower.datatype.error import DeclarationError

DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A rollup collection, `prefix` + the type's collection.

    window: bucket length in seconds, aligned to UTC; None keeps raw copies instead of buckets.
    retention: name of the setting that gives the TTL in seconds.
    """

    prefix: str
    window: int | None
    retention: str

    def __post_init__(self) -> None:
        if self.window is not None and (self.window <= 0 or DAY % self.window):
            raise DeclarationError(f"tier {self.prefix!r}: a day is no whole number of {self.window} s windows")

    @property
    def resolution(self) -> str:
        """The window as people write it: `1m`, `3h`, or `raw`."""
        if self.window is None:
            return "raw"
        for seconds, letter in ((3600, "h"), (60, "m")):
            if self.window % seconds == 0:
                return f"{self.window // seconds}{letter}"
        return f"{self.window}s"


def check_tiers(tiers: tuple[Tier, ...]) -> None:
    """Raise DeclarationError unless each window is a whole number of the one before it."""
    below: int | None = None
    prefixes = [tier.prefix for tier in tiers]
    if len(set(prefixes)) < len(prefixes) or "" in prefixes:
        raise DeclarationError("tiers: each needs a prefix of its own")
    for tier in tiers:
        if tier.window is None:
            if below is not None:
                raise DeclarationError(f"tier {tier.prefix!r}: raw copies come before the windows")
            continue
        if below is not None and (tier.window <= below or tier.window % below):
            raise DeclarationError(f"tier {tier.prefix!r}: {tier.window} s is no multiple of {below} s below it")
        below = tier.window


def _tiers(*windows: int | None) -> tuple[Tier, ...]:
    names = ("today", "last_7_days", "last_30_days", "last_6_months", "this_year")
    return tuple(
        Tier(prefix=f"{name}_", window=window, retention=f"MONGO_{name.upper()}_TTL_SECONDS")
        for name, window in zip(names, windows, strict=True)
    )


STANDARD_TIERS = _tiers(60, 600, 1800, 10_800, 21_600)
ENERGY_TIERS = _tiers(None, None, 1800, 10_800, 21_600)
NO_TIERS: tuple[Tier, ...] = ()
