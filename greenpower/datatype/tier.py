"""Tiers: the rollup collections of a data type, each with its own window length and retention.

What belongs here: the declaration of a tier. What does not: the seconds that a setting gives
(`greenpower.catalog.retention`).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from greenpower.datatype.error import DeclarationError

DAY = 86_400
# The longest expiry that MongoDB accepts, 68 years.
MAX_RETENTION_SECONDS = 2**31 - 1

#: the settings that give the retention of a tier
RetentionSetting = Literal[
    "MONGO_TODAY_TTL_SECONDS",
    "MONGO_LAST_7_DAYS_TTL_SECONDS",
    "MONGO_LAST_30_DAYS_TTL_SECONDS",
    "MONGO_LAST_6_MONTHS_TTL_SECONDS",
    "MONGO_THIS_YEAR_TTL_SECONDS",
]
RETENTION_SETTINGS: tuple[RetentionSetting, ...] = get_args(RetentionSetting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a tier keeps its documents: a number of seconds (0: for ever) or a setting.

    One of the two is given. Raises DeclarationError.
    """

    seconds: int | None = None
    setting: RetentionSetting | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.setting is None):
            raise DeclarationError(
                f"give seconds or setting, one of the two, not seconds={self.seconds!r} and setting={self.setting!r}"
            )
        if self.setting is not None and self.setting not in RETENTION_SETTINGS:
            raise DeclarationError(f"unknown setting {self.setting!r}; choose from {', '.join(RETENTION_SETTINGS)}")
        if self.seconds is not None and (
            type(self.seconds) is not int or not 0 <= self.seconds <= MAX_RETENTION_SECONDS
        ):
            raise DeclarationError(f"seconds={self.seconds!r} is not a whole number from 0 to {MAX_RETENTION_SECONDS}")

    @classmethod
    def of(cls, value: object) -> Retention:
        """The retention from a declaration: a Retention, a timedelta, or (for one release) the name of a setting.

        Raises DeclarationError for anything else.
        """
        if isinstance(value, Retention):
            return value
        if isinstance(value, timedelta):
            if value <= timedelta(0) or value % timedelta(seconds=1):
                raise DeclarationError(f"{value!r} is not a whole number of seconds above 0")
            return cls(seconds=value // timedelta(seconds=1))
        if isinstance(value, str):
            found = cls(setting=value)  # type: ignore[arg-type]  # checked there
            text = f"retention={value!r} is deprecated: give Retention(setting={value!r})"
            warnings.warn(text, DeprecationWarning, stacklevel=4)  # of(), __post_init__, __init__, the declaration
            return found
        raise DeclarationError(f"{value!r} is neither a Retention nor a timedelta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A rollup collection, `prefix` + the type's collection.

    window: bucket length in seconds, aligned to UTC; None keeps raw copies instead of buckets.
    retention: how long its documents are kept, longer than a window: `timedelta(days=3)`, `Retention(seconds=0)` for
    ever, or `Retention(setting="MONGO_TODAY_TTL_SECONDS")` for the operator's setting. Stored as a Retention.
    Raises DeclarationError.
    """

    prefix: str
    window: int | None
    retention: Retention | timedelta | str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]{0,40}", self.prefix):
            raise DeclarationError(f"tier {self.prefix!r}: the prefix must be of a-z, 0-9 and _")
        if self.window is not None and (self.window <= 0 or DAY % self.window):
            raise DeclarationError(f"tier {self.prefix!r}: window={self.window} does not divide a day ({DAY} s)")
        try:
            object.__setattr__(self, "retention", Retention.of(self.retention))
        except DeclarationError as error:
            raise DeclarationError(f"tier {self.prefix!r}: retention: {error}") from None
        if self.kept.seconds and self.window is not None and self.kept.seconds <= self.window:
            text = f"{self.kept.seconds} s is not longer than a window of {self.window} s"
            raise DeclarationError(f"tier {self.prefix!r}: retention: {text}")

    @property
    def kept(self) -> Retention:
        """The retention as a Retention."""
        return Retention.of(self.retention)

    @property
    def resolution(self) -> str:
        """The window as text: `1m`, `3h`, or `raw`."""
        return "raw" if self.window is None else resolution_text(self.window)


def resolution_text(window: int) -> str:
    """The length of a window, in seconds, as people write it: `1m`, `3h`, `90s`."""
    for seconds, letter in ((3600, "h"), (60, "m")):
        if window % seconds == 0:
            return f"{window // seconds}{letter}"
    return f"{window}s"


def check_tiers(tiers: tuple[Tier, ...]) -> None:
    """Raise DeclarationError unless prefixes are unique and each window is a multiple of the window before it."""
    below: int | None = None
    prefixes = [tier.prefix for tier in tiers]
    if wrong := [prefix for prefix in prefixes if not prefix or prefixes.count(prefix) > 1]:
        raise DeclarationError(f"tier {wrong[0]!r}: each tier needs a unique prefix that is not empty")
    for tier in tiers:
        if tier.window is None:
            if below is not None:
                raise DeclarationError(f"tier {tier.prefix!r}: tiers of raw copies must come before tiers with windows")
            continue
        if below is not None and (tier.window <= below or tier.window % below):
            raise DeclarationError(
                f"tier {tier.prefix!r}: window={tier.window} is not a multiple of {below} of the tier before it"
            )
        below = tier.window


def _tiers(*windows: int | None) -> tuple[Tier, ...]:
    names = ("today", "last_7_days", "last_30_days", "last_6_months", "this_year")
    return tuple(
        Tier(prefix=f"{name}_", window=window, retention=Retention(setting=setting))
        for name, window, setting in zip(names, windows, RETENTION_SETTINGS, strict=True)
    )


STANDARD_TIERS = _tiers(60, 600, 1800, 10_800, 21_600)
ENERGY_TIERS = _tiers(None, None, 1800, 10_800, 21_600)
NO_TIERS: tuple[Tier, ...] = ()
