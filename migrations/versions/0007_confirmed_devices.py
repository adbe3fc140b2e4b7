"""Which devices are confirmed. Those that are in the registry are."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", stamp("confirmed_at", nullable=True))
    op.add_column("device", text("confirmed_by", 150, nullable=True))
    op.create_index("ix_device_confirmed_at", "device", ["confirmed_at"])
    op.execute(sa.text("UPDATE device SET confirmed_at = created_at"))


def downgrade() -> None:
    op.drop_index("ix_device_confirmed_at", table_name="device")
    op.drop_column("device", "confirmed_by")
    op.drop_column("device", "confirmed_at")
