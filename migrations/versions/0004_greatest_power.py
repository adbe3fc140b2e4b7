"""The greatest power of a device"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("greatest_power", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("device", "greatest_power")
