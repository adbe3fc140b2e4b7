"""Notification channels."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notification_channel",
        sa.Column("id", sa.Integer(), nullable=False),
        text("name", 120),
        text("url", 2000),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        stamp("created_at"),
        stamp("updated_at"),
        text("created_by", 150, nullable=True),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["user_account.id"],
            name="fk_notification_channel_owner_id_user_account",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_notification_channel"),
        sa.UniqueConstraint("name", name="uq_notification_channel_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notification_channel_owner_id", "notification_channel", ["owner_id"])


def downgrade() -> None:
    op.drop_table("notification_channel")
