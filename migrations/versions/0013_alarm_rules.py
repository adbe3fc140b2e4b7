"""Rules of alarms, and silences."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarm_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        text("name", 120),
        text("kind", 64),
        sa.Column("params", sa.JSON(), nullable=False),
        text("type", 64, nullable=True),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=True),
        sa.Column("points", sa.JSON(), nullable=False),
        sa.Column("for_s", sa.Integer(), nullable=False),
        text("severity", 16),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        text("text", 500),
        sa.Column("channels", sa.JSON(), nullable=False),
        stamp("since"),
        stamp("created_at"),
        text("created_by", 150, nullable=True),
        stamp("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_alarm_rule"),
        sa.UniqueConstraint("name", name="uq_alarm_rule_name"),
    )
    op.create_index("ix_alarm_rule_enabled", "alarm_rule", ["enabled"])
    op.create_table(
        "alarm_silence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.Integer(), nullable=True),
        text("subject", 140, nullable=True),
        stamp("begins_at"),
        stamp("ends_at", nullable=True),
        text("reason", 300),
        stamp("created_at"),
        text("created_by", 150, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alarm_silence"),
    )
    op.create_index("ix_alarm_silence_ends_at", "alarm_silence", ["ends_at"])


def downgrade() -> None:
    op.drop_table("alarm_silence")
    op.drop_table("alarm_rule")
