"""Report schedules."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_schedule",
        sa.Column("id", sa.Integer(), nullable=False),
        text("name", 120),
        text("period", 8),
        sa.Column("zone_id", sa.Integer(), nullable=True),
        text("carrier", 16),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.Column("formats", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        stamp("reported_until", nullable=True),
        stamp("created_at"),
        stamp("updated_at"),
        text("created_by", 150, nullable=True),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["service_zone.id"], name="fk_report_schedule_zone_id_service_zone", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_report_schedule"),
        sa.UniqueConstraint("name", name="uq_report_schedule_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_report_schedule_zone_id", "report_schedule", ["zone_id"])


def downgrade() -> None:
    op.drop_table("report_schedule")
