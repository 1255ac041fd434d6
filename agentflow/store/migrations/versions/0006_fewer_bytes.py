"""Fewer bytes for a run that waits: its gate is the wait, and the inbox is sorted by what it shows."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM agentflow_wait WHERE kind = 'approval'")
    op.drop_index("ix_agentflow_approval_inbox", "agentflow_approval")
    _index("ix_agentflow_approval_inbox", "agentflow_approval", ["urgency"], "status = 'pending'")


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition)
