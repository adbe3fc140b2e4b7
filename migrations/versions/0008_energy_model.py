"""Meter points, tariffs, emission factors; zones within zones."""

import sqlalchemy as sa
from alembic import op

from migrations.column import stamp, text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ZONE_PARENT = "fk_service_zone_parent_id_service_zone"


def upgrade() -> None:
    with op.batch_alter_table("service_zone") as table:
        table.add_column(sa.Column("parent_id", sa.Integer(), nullable=True))
        table.create_foreign_key(ZONE_PARENT, "service_zone", ["parent_id"], ["id"], ondelete="SET NULL")
    op.create_index("ix_service_zone_parent_id", "service_zone", ["parent_id"])
    op.create_table(
        "tariff",
        sa.Column("id", sa.Integer(), nullable=False),
        text("name", 120),
        text("carrier", 16),
        text("currency", 3),
        text("timezone", 64),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        stamp("created_at"),
        stamp("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_tariff"),
        sa.UniqueConstraint("name", name="uq_tariff_name"),
    )
    op.create_table(
        "tariff_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tariff_id", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        stamp("created_at"),
        text("created_by", 150, nullable=True),
        stamp("replaced_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["tariff_id"], ["tariff.id"], name="fk_tariff_version_tariff_id_tariff", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tariff_version"),
    )
    op.create_index("ix_tariff_version_tariff_id", "tariff_version", ["tariff_id"])
    op.create_table(
        "emission_factor",
        sa.Column("id", sa.Integer(), nullable=False),
        text("carrier", 16),
        text("role", 16),
        sa.Column("valid_from", sa.Date(), nullable=False),
        text("kg_per_unit", 40),
        text("source", 300),
        stamp("created_at"),
        text("created_by", 150, nullable=True),
        stamp("replaced_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_emission_factor"),
    )
    op.create_table(
        "meter_point",
        sa.Column("id", sa.Integer(), nullable=False),
        text("name", 120),
        text("description", 500),
        text("carrier", 16),
        text("role", 16),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("zone_id", sa.Integer(), nullable=True),
        sa.Column("tariff_id", sa.Integer(), nullable=True),
        sa.Column("proposed", sa.Boolean(), nullable=False),
        stamp("created_at"),
        stamp("updated_at"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["meter_point.id"], name="fk_meter_point_parent_id_meter_point", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["service_zone.id"], name="fk_meter_point_zone_id_service_zone", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["tariff_id"], ["tariff.id"], name="fk_meter_point_tariff_id_tariff", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_meter_point"),
        sa.UniqueConstraint("name", name="uq_meter_point_name"),
    )
    for name in ("parent_id", "tariff_id", "zone_id"):
        op.create_index(f"ix_meter_point_{name}", "meter_point", [name])


def downgrade() -> None:
    op.drop_table("meter_point")
    op.drop_table("emission_factor")
    op.drop_table("tariff_version")
    op.drop_table("tariff")
    op.drop_index("ix_service_zone_parent_id", table_name="service_zone")
    with op.batch_alter_table("service_zone") as table:
        table.drop_constraint(ZONE_PARENT, type_="foreignkey")
        table.drop_column("parent_id")
