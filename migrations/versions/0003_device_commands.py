"""Commands to devices, and what became of them"""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_command",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=True),
        text("wire_id", 64),
        text("type", 64),
        text("command", 64),
        sa.Column("parameters", sa.JSON(), nullable=False),
        text("requested_by", 150),
        text("state", 16),
        text("detail", 300),
        text("operation", 32),
        text("read_operation", 32, nullable=True),
        text("open_for", 130, nullable=True),
        text("topic", 200, nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        stamp("created_at"),
        stamp("expires_at"),
        stamp("claimed_at", nullable=True),
        stamp("sent_at", nullable=True),
        stamp("answered_at", nullable=True),
        stamp("verified_at", nullable=True),
        stamp("finished_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name="fk_device_command_device_id_device", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_device_command"),
        sa.UniqueConstraint("operation", name="uq_device_command_operation"),
        sa.UniqueConstraint("read_operation", name="uq_device_command_read_operation"),
        sa.UniqueConstraint("open_for", name="uq_device_command_open_for"),
    )
    op.create_index("ix_device_command_device_id_id", "device_command", ["device_id", "id"])
    op.create_index(
        "ix_device_command_wire_id_command_created_at", "device_command", ["wire_id", "command", "created_at"]
    )
    op.create_index("ix_device_command_state", "device_command", ["state"])
    op.create_table(
        "device_command_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("command_id", sa.Integer(), nullable=False),
        text("state", 16),
        stamp("at"),
        text("detail", 300),
        sa.ForeignKeyConstraint(
            ["command_id"],
            ["device_command.id"],
            name="fk_device_command_step_command_id_device_command",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_device_command_step"),
    )
    op.create_index("ix_device_command_step_command_id", "device_command_step", ["command_id"])


def downgrade() -> None:
    op.drop_table("device_command_step")
    op.drop_table("device_command")
