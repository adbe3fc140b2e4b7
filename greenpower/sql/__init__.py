"""What is kept in SQL: users, roles, keys, devices, zones and commands. Telemetry is in MongoDB (`greenpower.mongo`).

Importing this package makes every model known to the metadata that migrations are compared with.
"""

from greenpower.sql.api_key import ApiKey, Scope
from greenpower.sql.device import Device, DeviceStatus, DeviceType
from greenpower.sql.device_command import CommandState, DeviceCommand, DeviceCommandStep
from greenpower.sql.device_status import DeviceStatusChange
from greenpower.sql.role import Role, RoleName
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.token_family import TokenFamily
from greenpower.sql.user import User

__all__ = [
    "ApiKey",
    "CommandState",
    "Device",
    "DeviceCommand",
    "DeviceCommandStep",
    "DeviceStatus",
    "DeviceStatusChange",
    "DeviceType",
    "Role",
    "RoleName",
    "Scope",
    "ServiceZone",
    "TokenFamily",
    "User",
]
