"""Which folder the paths in the database are relative to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jupyter_collab_ai.storage.columns import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema from the revision before to this one."""
    op.create_table(
        "root",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("claimed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_root")),
    )


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("root")
