"""What is kept in SQL: users, roles, keys, devices, zones and commands. Telemetry is in MongoDB (`greenpower.store`).

Importing this package makes every model known to the metadata that migrations are compared with. Imported by api, app,
backup, commands, downlink and jobs.
"""

from greenpower.models.api_key import ApiKey, Scope
from greenpower.models.device import Device, DeviceStatus, DeviceType
from greenpower.models.device_command import CommandState, DeviceCommand, DeviceCommandStep
from greenpower.models.device_status import DeviceStatusChange
from greenpower.models.role import Role, RoleName
from greenpower.models.service_zone import ServiceZone
from greenpower.models.token_family import TokenFamily
from greenpower.models.user import User

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
