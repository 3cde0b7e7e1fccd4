"""What models were asked for is kept by day, and held against budgets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema from the revision before to this one."""
    op.create_table(
        "ai_usage",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("operations", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("day", "user_id", "session_id", "model", name=op.f("pk_ai_usage")),
    )
    op.create_table(
        "ai_reservations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_reservations")),
    )
    _take_over()


def _take_over() -> None:
    """Count what was used before; it stands in the operations."""
    operations = sa.table(
        "operations",
        *map(sa.column, ("user_id", "session_id", "model", "created_at")),
        *map(sa.column, ("prompt_tokens", "completion_tokens")),
    )
    usage = sa.table(
        "ai_usage",
        *map(sa.column, ("day", "user_id", "session_id", "model", "operations")),
        *map(sa.column, ("prompt_tokens", "completion_tokens")),
    )
    moment: sa.ColumnElement[str] = operations.c.created_at
    if op.get_bind().dialect.name != "sqlite":
        moment = sa.func.to_char(sa.func.timezone("UTC", moment), "YYYY-MM-DD")
    key = (
        sa.func.substr(moment, 1, 10),
        operations.c.user_id,
        operations.c.session_id,
        operations.c.model,
    )
    used = (
        sa.select(
            *key,
            sa.func.count(),
            sa.func.sum(operations.c.prompt_tokens),
            sa.func.sum(operations.c.completion_tokens),
        )
        .where(operations.c.model != "")
        .group_by(*key)
    )
    op.execute(usage.insert().from_select(list(usage.c.keys()), used))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("ai_reservations")
    op.drop_table("ai_usage")
