"""Outbound targets."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbound_target",
        sa.Column("id", sa.Integer(), nullable=False),
        text("name", 120),
        text("kind", 16),
        text("address", 2000),
        text("secret", 64),
        text("content", 16),
        text("resolution", 16, nullable=True),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=True),
        text("topic_prefix", 200, nullable=True),
        sa.Column("retain", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        stamp("begin_at"),
        stamp("created_at"),
        stamp("updated_at"),
        text("created_by", 150, nullable=True),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["service_zone.id"], name="fk_outbound_target_zone_id_service_zone", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outbound_target"),
        sa.UniqueConstraint("name", name="uq_outbound_target_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbound_target_zone_id", "outbound_target", ["zone_id"])


def downgrade() -> None:
    op.drop_table("outbound_target")
