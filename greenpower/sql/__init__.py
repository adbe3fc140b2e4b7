"""What is kept in SQL: users, roles, keys, devices, zones, commands, meter points, tariffs, notification channels,
rules of alarms, outbound targets, the audit.

Telemetry is in `greenpower.mongo`.

Importing this package makes every model known to the metadata that migrations are compared with.
"""

from greenpower.sql import audit_listener, restriction, visible_zones  # noqa: F401 - they listen from now on
from greenpower.sql.alarm_rule import AlarmSilence, StoredAlarmRule
from greenpower.sql.api_key import ApiKey, Scope
from greenpower.sql.audit_entry import AuditAction, AuditEntry, AuditObject
from greenpower.sql.closed_period import ClosedPeriod
from greenpower.sql.device import Device, DeviceStatus, DeviceType
from greenpower.sql.device_command import CommandState, DeviceCommand, DeviceCommandStep
from greenpower.sql.device_status import DeviceStatusChange
from greenpower.sql.divisor import Divisor
from greenpower.sql.emission_factor import EmissionFactor
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.notification_channel import NotificationChannel
from greenpower.sql.outbound_target import OutboundContent, OutboundKind, OutboundTarget
from greenpower.sql.report_schedule import ReportSchedule
from greenpower.sql.role import Role, RoleName
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.tariff import StoredTariffVersion, Tariff
from greenpower.sql.token_family import TokenFamily
from greenpower.sql.user import User
from greenpower.sql.zone_role import ZoneRole

__all__ = [
    "AlarmSilence",
    "ApiKey",
    "AuditAction",
    "AuditEntry",
    "AuditObject",
    "ClosedPeriod",
    "CommandState",
    "Device",
    "DeviceCommand",
    "DeviceCommandStep",
    "DeviceStatus",
    "DeviceStatusChange",
    "DeviceType",
    "Divisor",
    "EmissionFactor",
    "MeterPoint",
    "NotificationChannel",
    "OutboundContent",
    "OutboundKind",
    "OutboundTarget",
    "ReportSchedule",
    "Role",
    "RoleName",
    "Scope",
    "ServiceZone",
    "StoredAlarmRule",
    "StoredTariffVersion",
    "Tariff",
    "TokenFamily",
    "User",
    "ZoneRole",
]
