"""Operations say that they live, so that those of a server that died are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema from the revision before to this one."""
    with op.batch_alter_table("operations") as table:
        table.add_column(sa.Column("alive_until", sa.Float(precision=53), nullable=True))
        table.create_index("ix_operations_state", ["state"])


def downgrade() -> None:
    """Take this revision back."""
    with op.batch_alter_table("operations") as table:
        table.drop_index("ix_operations_state")
        table.drop_column("alive_until")
