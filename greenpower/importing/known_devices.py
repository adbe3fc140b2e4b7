"""Which devices a file may name: those of the registry, and on request new ones, which are registered then.

What belongs here: the decision and the registration. What does not: the rows of the registry
(`greenpower.sql.confirmation`).

A name with a slip of the pen would be a new device with readings that nobody looks for. So unknown devices are refused
unless the caller says that they are new.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session

from greenpower.config import Settings
from greenpower.sql.confirmation import add_heard, add_types
from greenpower.sql.device import Device, DeviceType

UNKNOWN_DEVICE = "unknown-device"
UNCONFIRMED_DEVICE = "unconfirmed-device"


class ImportDevices:
    """The devices of the registry, for one import. registers: whether unknown ones are added. by: who confirms them.

    Raises SQLAlchemyError.
    """

    def __init__(
        self,
        session: Session | scoped_session[Any],
        settings: Settings,
        type_name: str,
        *,
        registers: bool = False,
        by: str = "import",
    ) -> None:
        self._session = session
        self._type = type_name
        self._registers = registers
        self._by = by
        self._read()
        self._needs_confirmed = settings.device_policy == "registered"

    def _read(self) -> None:
        rows = self._session.execute(select(Device.device_id, Device.id, Device.confirmed_at)).all()
        self._numbers = {device_id: number for device_id, number, _ in rows}
        self._confirmed = {device_id for device_id, _, at in rows if at is not None}
        query = select(DeviceType.device_id).where(DeviceType.type == self._type)
        self._of_type = set(self._session.scalars(query))
        self._session.rollback()

    def problem(self, device_id: str) -> tuple[str, str] | None:
        """(reason, detail) where rows of a device are refused."""
        if device_id not in self._numbers:
            if self._registers:
                return None
            return UNKNOWN_DEVICE, f"{device_id!a:.80} is not in the registry"
        if self._needs_confirmed and device_id not in self._confirmed:
            return UNCONFIRMED_DEVICE, f"{device_id!a:.80} is not confirmed, as DEVICE_POLICY=registered demands"
        return None

    def register(self, device_ids: Iterable[str]) -> list[str]:
        """Register those that are unknown, and note the type of the others. Returns the ids of new ones."""
        named = set(device_ids)
        new = sorted(named - self._numbers.keys())
        if new:
            try:
                add_heard(self._session, {device_id: {self._type} for device_id in new}, confirmed_by=self._by)
            except IntegrityError:  # somebody registered one of them meanwhile
                self._session.rollback()
                self._read()
                return self.register(named)
        without = sorted(one for one in named & self._numbers.keys() if self._numbers[one] not in self._of_type)
        if without:
            try:
                add_types(self._session, [(self._numbers[one], self._type) for one in without])
            except IntegrityError:
                self._session.rollback()
        if new or without:
            self._read()
        return new
