"""What is kept in SQL: users and roles. Telemetry is not; it is in MongoDB (`greenpower.store`).

Importing this package makes every model known to the metadata that migrations are compared with.
"""

from greenpower.models.role import Role, RoleName
from greenpower.models.token_family import TokenFamily
from greenpower.models.user import User

__all__ = ["Role", "RoleName", "TokenFamily", "User"]
