"""API keys, service zones, devices and the history of their states"""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        stamp("created_at"),
        stamp("expires_at"),
        stamp("revoked_at", nullable=True),
        stamp("last_used_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["user_account.id"], name="fk_api_key_created_by_id_user_account", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("public_id", name="uq_api_key_public_id"),
    )
    op.create_index("ix_api_key_created_by_id", "api_key", ["created_by_id"])
    op.create_table(
        "service_zone",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        stamp("created_at"),
        stamp("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_service_zone"),
        sa.UniqueConstraint("name", name="uq_service_zone_name"),
    )
    op.create_table(
        "device",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=True),
        sa.Column("interval_seconds", sa.Integer(), nullable=True),
        sa.Column("zone_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        stamp("status_since", nullable=True),
        stamp("created_at"),
        stamp("updated_at"),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["service_zone.id"], name="fk_device_zone_id_service_zone", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
        sa.UniqueConstraint("device_id", name="uq_device_device_id"),
    )
    op.create_index("ix_device_zone_id", "device", ["zone_id"])
    op.create_index("ix_device_status", "device", ["status"])
    op.create_table(
        "device_type",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name="fk_device_type_device_id_device", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_id", "type", name="pk_device_type"),
    )
    op.create_index("ix_device_type_type", "device_type", ["type"])
    op.create_table(
        "device_status_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        stamp("at"),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name="fk_device_status_change_device_id_device", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_device_status_change"),
    )
    op.create_index("ix_device_status_change_device_id_at", "device_status_change", ["device_id", "at"])


def downgrade() -> None:
    op.drop_table("device_status_change")
    op.drop_table("device_type")
    op.drop_table("device")
    op.drop_table("service_zone")
    op.drop_table("api_key")
