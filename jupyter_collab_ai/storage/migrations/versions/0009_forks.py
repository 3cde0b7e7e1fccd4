"""Forks: documents without a file, whose text may go into the one of which they are a fork."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jupyter_collab_ai.storage.columns import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema from the revision before to this one."""
    op.create_table(
        "forks",
        sa.Column("document_id", sa.String(length=32), nullable=False),
        sa.Column("root_id", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("synchronize", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name=op.f("fk_forks_document_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["root_id"],
            ["documents.id"],
            name=op.f("fk_forks_root_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_forks")),
    )
    op.create_index(op.f("ix_forks_root_id"), "forks", ["root_id"])
    op.create_index(op.f("ix_forks_user_id"), "forks", ["user_id"])


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("forks")
