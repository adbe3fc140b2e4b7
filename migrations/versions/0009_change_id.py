"""Entries of the audit of changes in MongoDB are written once"""

from alembic import op

from migrations.column import text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_entry", text("change_id", 32, nullable=True))
    op.create_index("ix_audit_entry_change_id", "audit_entry", ["change_id"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_audit_entry_change_id", table_name="audit_entry")
    op.drop_column("audit_entry", "change_id")
