"""Users and API keys that are restricted to service zones."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OWNERS = ("user_account", "api_key")


def upgrade() -> None:
    for table in OWNERS:
        op.add_column(table, sa.Column("restricted", sa.Boolean(), nullable=False, server_default=sa.false()))
        op.add_column(table, stamp("restricted_at", nullable=True))
    op.create_table(
        "zone_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        text("role", 32),
        sa.CheckConstraint("(user_id IS NULL) <> (key_id IS NULL)", name="ck_zone_role_one_owner"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name="fk_zone_role_user_id_user_account", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"], name="fk_zone_role_key_id_api_key", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["service_zone.id"], name="fk_zone_role_zone_id_service_zone", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_zone_role"),
        sa.UniqueConstraint("user_id", "zone_id", name="uq_zone_role_user_id_zone_id"),
        sa.UniqueConstraint("key_id", "zone_id", name="uq_zone_role_key_id_zone_id"),
    )
    op.create_index("ix_zone_role_zone_id", "zone_role", ["zone_id"])


def downgrade() -> None:
    op.drop_table("zone_role")
    for table in OWNERS:
        with op.batch_alter_table(table) as batch:
            batch.drop_column("restricted_at")
            batch.drop_column("restricted")
