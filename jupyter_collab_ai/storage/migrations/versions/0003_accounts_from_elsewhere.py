"""Accounts of another identity provider; who starts servers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema from the revision before to this one."""
    op.add_column(
        "users",
        sa.Column("starts_server", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("users", sa.Column("issuer", sa.String(length=255), nullable=True))
    op.add_column("users", sa.Column("subject", sa.String(length=255), nullable=True))
    op.create_index("uq_users_issuer_subject", "users", ["issuer", "subject"], unique=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index("uq_users_issuer_subject", "users")
    op.drop_column("users", "subject")
    op.drop_column("users", "issuer")
    op.drop_column("users", "starts_server")
