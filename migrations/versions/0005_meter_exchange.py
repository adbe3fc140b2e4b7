"""Which device replaces which"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("replaces", sa.String(64), nullable=True))
    op.add_column("device", sa.Column("replaced_by", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("device", "replaced_by")
    op.drop_column("device", "replaces")
