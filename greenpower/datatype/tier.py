"""Tiers: the collections beside the raw one, each with a window length and a retention of its own.

What belongs here: what a plugin says of a tier. What does not: how many seconds a setting gives
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
# The longest expiry that MongoDB takes, 68 years.
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
    """How long a tier keeps its documents: a number of seconds (0: for ever), or the setting that gives it.

    Give one of the two. Raises DeclarationError.
    """

    seconds: int | None = None
    setting: RetentionSetting | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.setting is None):
            raise DeclarationError("a retention has either seconds or a setting")
        if self.setting is not None and self.setting not in RETENTION_SETTINGS:
            raise DeclarationError(f"there is no setting {self.setting!r}; choose from {', '.join(RETENTION_SETTINGS)}")
        if self.seconds is not None and (
            type(self.seconds) is not int or not 0 <= self.seconds <= MAX_RETENTION_SECONDS
        ):
            raise DeclarationError(f"{self.seconds!r} is not 0 to {MAX_RETENTION_SECONDS} whole seconds")

    @classmethod
    def of(cls, value: object) -> Retention:
        """The retention that a declaration gives: a Retention, a timedelta, or (for one release) a setting's name.

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
            warnings.warn(text, DeprecationWarning, stacklevel=5)  # of(), __post_init__, __init__, the declaration
            return found
        raise DeclarationError(f"{value!r} is no Retention and no timedelta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A rollup collection, `prefix` + the type's collection.

    window: bucket length in seconds, aligned to UTC; None keeps raw copies instead of buckets.
    retention: how long its documents are kept, longer than a window: `timedelta(days=3)`, `Retention(seconds=0)` for
    ever, `Retention(setting="MONGO_TODAY_TTL_SECONDS")` for what the operator says. Always a Retention once declared.
    Raises DeclarationError.
    """

    prefix: str
    window: int | None
    retention: Retention | timedelta | str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]{0,40}", self.prefix):
            raise DeclarationError(f"tier {self.prefix!r}: a prefix is of a-z, 0-9 and _")
        if self.window is not None and (self.window <= 0 or DAY % self.window):
            raise DeclarationError(f"tier {self.prefix!r}: a day is no whole number of {self.window} s windows")
        try:
            object.__setattr__(self, "retention", Retention.of(self.retention))
        except DeclarationError as error:
            raise DeclarationError(f"tier {self.prefix!r}: retention: {error}") from None
        if self.kept.seconds and self.window is not None and self.kept.seconds <= self.window:
            text = f"{self.kept.seconds} s is no longer than a window of {self.window} s"
            raise DeclarationError(f"tier {self.prefix!r}: retention: {text}")

    @property
    def kept(self) -> Retention:
        """The retention, with its type."""
        return Retention.of(self.retention)

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
        Tier(prefix=f"{name}_", window=window, retention=Retention(setting=setting))
        for name, window, setting in zip(names, windows, RETENTION_SETTINGS, strict=True)
    )


STANDARD_TIERS = _tiers(60, 600, 1800, 10_800, 21_600)
ENERGY_TIERS = _tiers(None, None, 1800, 10_800, 21_600)
NO_TIERS: tuple[Tier, ...] = ()
