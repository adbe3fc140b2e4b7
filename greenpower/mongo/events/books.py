"""The books per device, from the events: how many frames came and what became of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo.collection import Collection

from greenpower.mongo.client import Document


@dataclass(slots=True)
class Account:
    """One device and type. outcomes: {outcome: frames}; reasons: {reason: frames} of those that added nothing."""

    type_name: str | None
    device_id: str | None
    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reasons: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def received(self) -> int:
        """All frames."""
        return sum(self.outcomes.values())


def read_ledger(events: Collection[Document], *, since: datetime, device_id: str | None = None) -> list[Account]:
    """The accounts of the frames received since then, by type and device; of one device or of all."""
    query: dict[str, Any] = {"received_at": {"$gte": since}}
    if device_id is not None:
        query["device_id"] = device_id
    group = {"type": "$type", "device_id": "$device_id", "outcome": "$outcome", "reason": "$reason"}
    accounts: dict[tuple[str, str], Account] = {}
    for row in events.aggregate([{"$match": query}, {"$group": {"_id": group, "count": {"$sum": 1}}}]):
        key = row["_id"]
        type_name, device = key.get("type"), key.get("device_id")
        account = accounts.setdefault((type_name or "", device or ""), Account(type_name, device))
        account.outcomes[key["outcome"]] += row["count"]
        if "reason" in key:
            account.reasons[key["reason"]] += row["count"]
    return [accounts[key] for key in sorted(accounts)]
