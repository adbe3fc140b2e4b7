"""Divisors: what amounts of meter points can be divided by."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "divisor",
        sa.Column("id", sa.Integer(), nullable=False),
        text("name", 120),
        text("unit", 16),
        text("kind", 16),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=True),
        stamp("created_at"),
        stamp("updated_at"),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["service_zone.id"], name="fk_divisor_zone_id_service_zone", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_divisor"),
        sa.UniqueConstraint("name", name="uq_divisor_name"),
    )
    op.create_index("ix_divisor_zone_id", "divisor", ["zone_id"])


def downgrade() -> None:
    op.drop_table("divisor")
