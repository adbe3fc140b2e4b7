"""Rows in MongoDB, targets, and rounds through them with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import OUTBOUND_POSITIONS
from greenpower.outbound.address import read_address
from greenpower.outbound.feeds import OutboundFeed, feeds_of
from greenpower.outbound.run import OutboundRun, OutboundSender, OutboundTally
from greenpower.outbound.webhook import WebhookSender
from greenpower.sql import OutboundKind, OutboundTarget
from greenpower.sql.session import sql_session

T0 = datetime(2026, 11, 1, 8, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"),)
SECRET = "gpo_test"
RT, TIER = "grid_rt_data", "last_30_days_grid_rt_data"


def make_target(number: int = 1, **more: Any) -> OutboundTarget:
    """A target, as it is read of SQL."""
    values: dict[str, Any] = {
        "name": f"t{number}", "kind": "webhook", "content": "readings", "resolution": None, "types": ["rt"],
        "devices": [], "fields": [], "zone_id": None, "topic_prefix": None, "retain": False, "enabled": True,
        "begin_at": T0, "secret": SECRET, "address": "",
    }  # fmt: skip
    return OutboundTarget(id=number, **{**values, **more})


def reading(number: int, at: datetime, device: str = "d1", **payload: float) -> Document:
    """A reading that was written at a time. number: says which one it is."""
    return {
        "_id": ObjectId(f"{number:024x}"),
        "topic": "t",
        "device_id": device,
        "timestamp": T0 + timedelta(seconds=number),
        "received_at": at,
        "updated_at": at,
        "payload": payload or {"zyggl": float(number)},
        "complete": True,
    }


class World:
    """A database, and a clock that only the test turns. senders: by address, in place of webhooks."""

    def __init__(self, db: Database[Document], settings: Settings) -> None:
        self.db, self.settings = db, settings
        self.now = T0 + timedelta(hours=1)
        self.seconds = 0.0
        self.impatient: set[str] = set()
        self.senders: dict[str, OutboundSender] = {}

    @property
    def positions(self) -> Any:
        return self.db[OUTBOUND_POSITIONS]

    def sender(self, target: OutboundTarget) -> OutboundSender:
        """A webhook to this machine."""
        if target.address in self.senders:
            return self.senders[target.address]
        address = read_address(OutboundKind.WEBHOOK, target.address)
        assert address is not None
        return WebhookSender(
            address=address,
            secret=target.secret,
            networks=LOOPBACK,
            seconds=0.2 if target.address in self.impatient else 20.0,
        )

    def run(self, targets: Iterable[OutboundTarget], *, end: float = 1e9) -> OutboundTally:
        """A round."""

        def feeds(target: OutboundTarget) -> Sequence[OutboundFeed]:
            if target.zone_id is None:
                return list(feeds_of(target, None, self.db, get_registry(), self.settings))  # type: ignore[arg-type]
            with sql_session(self.settings) as session:
                return list(feeds_of(target, session, self.db, get_registry(), self.settings))

        return OutboundRun(
            positions=self.positions,
            feeds=feeds,
            sender=self.sender,
            now=lambda: self.now,
            until=lambda: self.now - timedelta(seconds=self.settings.changes_horizon_seconds),
            clock=lambda: self.seconds,
            end=end,
        ).run(targets)

    def status(self, number: int = 1) -> dict[str, Any]:
        """A target's position."""
        found = self.positions.find_one({"_id": number})
        assert found is not None
        return dict(found)
