"""Retention: how many seconds readings and tier documents are kept.

What belongs here: seconds from a declaration and the settings. What does not: TTL indexes
(`greenpower.mongo.schema.layout`), the declaration (`greenpower.datatype.tier`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from greenpower.config import Settings
from greenpower.datatype import Tier
from greenpower.datatype.tier import RetentionSetting

FROM_SETTINGS: Mapping[RetentionSetting, Callable[[Settings], int]] = {
    "MONGO_TODAY_TTL_SECONDS": lambda settings: settings.mongo_today_ttl_seconds,
    "MONGO_LAST_7_DAYS_TTL_SECONDS": lambda settings: settings.mongo_last_7_days_ttl_seconds,
    "MONGO_LAST_30_DAYS_TTL_SECONDS": lambda settings: settings.mongo_last_30_days_ttl_seconds,
    "MONGO_LAST_6_MONTHS_TTL_SECONDS": lambda settings: settings.mongo_last_6_months_ttl_seconds,
    "MONGO_THIS_YEAR_TTL_SECONDS": lambda settings: settings.mongo_this_year_ttl_seconds,
}


def raw_retention(settings: Settings) -> int:
    """How many seconds readings are kept; 0: for ever."""
    return settings.mongo_raw_ttl_seconds


def tier_retention(tier: Tier, settings: Settings) -> int:
    """How many seconds documents of a tier are kept; 0: for ever."""
    kept = tier.kept
    if kept.setting is not None:
        return FROM_SETTINGS[kept.setting](settings)
    assert kept.seconds is not None
    return kept.seconds
