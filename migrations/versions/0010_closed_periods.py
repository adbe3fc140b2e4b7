"""Closed periods: months whose figures are kept."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "closed_period",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        text("timezone", 64),
        sa.Column("zone_id", sa.Integer(), nullable=True),
        text("scope", 120),
        text("reason", 500),
        sa.Column("figures", sa.JSON(), nullable=False),
        stamp("closed_at"),
        text("closed_by", 150, nullable=True),
        stamp("reopened_at", nullable=True),
        text("reopened_by", 150, nullable=True),
        text("reopen_reason", 500, nullable=True),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["service_zone.id"], name="fk_closed_period_zone_id_service_zone", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_closed_period"),
    )
    for name in ("month", "zone_id"):
        op.create_index(f"ix_closed_period_{name}", "closed_period", [name])


def downgrade() -> None:
    op.drop_table("closed_period")
