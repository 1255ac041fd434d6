"""Agents: what language models cost and may cost, conversations, words on their way, decisions made ahead."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXTS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() "
    "AND table_name LIKE 'agentflow\\_%' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
)


def upgrade() -> None:
    _spending()
    _standing()
    if op.get_bind().dialect.name == "postgresql":
        _order_texts_as_sqlite_does()


def _spending() -> None:
    """What is spent, and what agents keep beside their journals."""
    op.add_column("agentflow_run", sa.Column("parent_key", sa.Text(), nullable=True))
    _usage()
    _budgets()
    _threads()
    _on_the_way()


def _usage() -> None:
    op.create_table(
        "agentflow_usage",
        sa.Column("id", LONG, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("run_id", "task", "key")),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", LONG, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("took", LONG, nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        *(sa.Column(f"{name}_tokens", LONG, nullable=False) for name in ("input", "output", "cached", "reasoning")),
        sa.Column("cost", LONG, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_usage")),
        sqlite_strict=True,
    )
    op.create_index("ix_agentflow_usage_run_id_key", "agentflow_usage", ["run_id", "key"], unique=False)
    books = ["day", "task", "model", "at", "input_tokens", "output_tokens", "cached_tokens", "cost"]
    op.create_index("ix_agentflow_usage_books", "agentflow_usage", books, unique=False)


def _budgets() -> None:
    op.create_table(
        "agentflow_run_budget",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("run_id", "key", "root_id")),
        *(sa.Column(name, LONG, nullable=True) for name in ("tokens", "cost")),
        sa.Column("warn_at", sa.DOUBLE_PRECISION().with_variant(sa.REAL(), "sqlite"), nullable=False),
        sa.Column("created_at", LONG, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["agentflow_run.id"], name=op.f("fk_agentflow_run_budget_run_id")),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_agentflow_run_budget")),
        sqlite_strict=True,
    )
    op.create_index("ix_agentflow_run_budget_root_id", "agentflow_run_budget", ["root_id"], unique=False)
    op.create_table(
        "agentflow_run_budget_grant",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "run_id", "key", "granted_by")),
        *(sa.Column(name, LONG, nullable=False) for name in ("tokens", "cost", "at")),
        sa.ForeignKeyConstraint(["run_id"], ["agentflow_run.id"], name=op.f("fk_agentflow_run_budget_grant_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_run_budget_grant")),
        sqlite_strict=True,
    )
    op.create_index("ix_agentflow_run_budget_grant_run_id", "agentflow_run_budget_grant", ["run_id"], unique=False)


def _threads() -> None:
    op.create_table(
        "agentflow_thread_part",
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("seq", LONG, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("run_id", "key")),
        sa.Column("at", LONG, nullable=False),
        sa.Column("messages", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("thread", "seq", name=op.f("pk_agentflow_thread_part")),
        sqlite_strict=True,
    )
    op.create_index("uq_agentflow_thread_part_run_id_key", "agentflow_thread_part", ["run_id", "key"], unique=True)
    condition = sa.text("substr(\"messages\", 1, 5) = 'blob:'")
    op.create_index(
        "ix_agentflow_thread_part_blob_messages",
        "agentflow_thread_part",
        ["messages"],
        unique=False,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _on_the_way() -> None:
    """Words that are being said, and calls that have to wait."""
    op.create_table(
        "agentflow_chunk",
        sa.Column("id", LONG, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("attempt", "place")),
        sa.Column("at", LONG, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_chunk")),
        sqlite_strict=True,
    )
    op.create_index("ix_agentflow_chunk_run_id_id", "agentflow_chunk", ["run_id", "id"], unique=False)
    op.create_table(
        "agentflow_rate_hold",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("until", LONG, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_agentflow_rate_hold")),
        sqlite_strict=True,
    )


def _order_texts_as_sqlite_does() -> None:
    """Byte by byte, as those of the tables that were there before."""
    changes: dict[str, list[str]] = {}
    for table, column in op.get_bind().execute(sa.text(TEXTS)):
        changes.setdefault(table, []).append(f'ALTER COLUMN "{column}" TYPE text COLLATE "C"')
    for table, alterations in sorted(changes.items()):
        op.execute(f"ALTER TABLE {table} {', '.join(alterations)}")


def _standing() -> None:
    """Decisions made ahead, and what an approval says of the tool it lets be called."""
    op.create_table(
        "agentflow_standing",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "task", "tool", "terms", "made_by", "reason")),
        sa.Column("approval_id", sa.Text(), nullable=True),
        sa.Column("most_uses", sa.Integer(), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("created_at", LONG, nullable=False),
        sa.Column("expires_at", LONG, nullable=False),
        sa.Column("revoked_at", LONG, nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_standing")),
        sqlite_strict=True,
    )
    _index("ix_agentflow_standing_calls", "agentflow_standing", ["task", "tool", "id"], "revoked_at IS NULL")
    with op.batch_alter_table("agentflow_approval") as batch_op:
        batch_op.add_column(sa.Column("tool", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("said", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("standing_id", sa.Text(), nullable=True))
    decided = "tool <> '' AND decided_at IS NOT NULL"
    _index("ix_agentflow_approval_calls", "agentflow_approval", ["task", "tool", "decided_at"], decided)


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition)
