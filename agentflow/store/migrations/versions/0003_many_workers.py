"""PostgreSQL beside SQLite, and many workers: what a worker may take, and that it is stopping."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXTS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() "
    "AND table_name LIKE 'agentflow\\_%' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
)


BLOBS = {
    "run": ("input", "output", "error"),
    "journal": ("input", "output", "error", "detail"),
    "approval": ("body", "evidence", "data", "schema", "default", "final", "patch"),
    "decision": ("final",),
    "event": ("payload",),
    "callback": ("output", "error", "details"),
    "heartbeat": ("details",),
}


def upgrade() -> None:
    _workers()
    _keeping()
    _smaller()
    if op.get_bind().dialect.name == "postgresql":
        _order_texts_as_sqlite_does()
        _order_entries_by_transaction()


def _order_texts_as_sqlite_does() -> None:
    """Byte by byte, whatever language the database was made for: ids and keys are compared here and in Python."""
    changes: dict[str, list[str]] = {}
    for table, column in op.get_bind().execute(sa.text(TEXTS)):
        changes.setdefault(table, []).append(f'ALTER COLUMN "{column}" TYPE text COLLATE "C"')
    for table, alterations in sorted(changes.items()):
        op.execute(f"ALTER TABLE {table} {', '.join(alterations)}")


def _order_entries_by_transaction() -> None:
    """An entry's id begins with its transaction's number, so that followers miss none that is committed late.

    A database restored on another server counts its transactions from the beginning; the function says by how much its
    numbers are to be taken further (`agentflow.store.postgres.opening`).
    """
    op.execute("CREATE FUNCTION agentflow_ahead() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 0::bigint'")
    op.execute(
        "ALTER TABLE agentflow_journal ALTER COLUMN id SET DEFAULT "
        "((pg_current_xact_id()::text::bigint + agentflow_ahead()) << 20) "
        "| (nextval('agentflow_journal_id_seq') & 1048575)"
    )


def _workers() -> None:
    with op.batch_alter_table("agentflow_worker") as batch_op:
        batch_op.add_column(sa.Column("labels", sa.Text(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("lacks", sa.Text(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("queues", sa.Text(), server_default="[]", nullable=False))
        batch_op.add_column(
            sa.Column("draining_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )


def _keeping() -> None:
    """What is removed in time: a run that left its approvals behind, and what must be found before it may go."""
    op.add_column(
        "agentflow_run", sa.Column("pruned_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    _index("ix_agentflow_run_forked_from", "agentflow_run", "forked_from", "forked_from IS NOT NULL")
    op.create_index("ix_agentflow_cursor_name_key", "agentflow_cursor", ["name", "key"], unique=False)
    for name, columns in BLOBS.items():
        for column in columns:
            where = f"substr(\"{column}\", 1, 5) = 'blob:'"
            _index(f"ix_agentflow_{name}_blob_{column}", f"agentflow_{name}", column, where)


def _smaller() -> None:
    """What a waiting run need not have: index entries nobody looks for, and its waits in two places."""
    op.drop_index("ix_agentflow_approval_run_id_key", "agentflow_approval")
    op.create_index("ix_agentflow_approval_run_id", "agentflow_approval", ["run_id"], unique=False)
    again = "status IN ('queued', 'waiting') AND available_at IS NOT NULL AND epoch > 0 AND queue <> 'default'"
    due = "status IN ('queued', 'waiting') AND available_at IS NOT NULL AND queue = 'default'"
    for name, table, columns, where in (
        ("approval_deadline", "approval", ["deadline_at"], "status = 'pending' AND deadline_at IS NOT NULL"),
        ("approval_decided_at", "approval", ["decided_at", "id"], "decided_at IS NOT NULL"),
        ("run_due", "run", ["available_at", "task", "version"], due),
        ("run_again", "run", ["queue", "available_at", "task", "version"], again),
        ("run_again_by_key", "run", ["queue", "queue_key", "available_at"], again),
        ("wait_subject", "wait", ["subject", "kind"], "subject IS NOT NULL AND kind <> 'approval'"),
    ):
        op.drop_index(f"ix_agentflow_{name}", f"agentflow_{table}")
        _index(f"ix_agentflow_{name}", f"agentflow_{table}", columns, where)
    if op.get_bind().dialect.name == "sqlite":
        _waits_by_their_key()


def _waits_by_their_key() -> None:
    """The table of waits anew, as the index of its key. Nothing refers to it."""
    made = op.get_bind().execute(sa.text("SELECT sql FROM sqlite_master WHERE tbl_name = 'agentflow_wait'"))
    table, *indexes = [text for (text,) in made if text is not None]
    op.execute("ALTER TABLE agentflow_wait RENAME TO agentflow_wait_before")
    op.execute(f"{table}, WITHOUT ROWID")
    op.execute("INSERT INTO agentflow_wait SELECT * FROM agentflow_wait_before")
    op.execute("DROP TABLE agentflow_wait_before")
    for index in indexes:
        op.execute(index)


def _index(name: str, table: str, columns: str | list[str], where: str) -> None:
    condition = sa.text(where)
    listed = [columns] if isinstance(columns, str) else columns
    op.create_index(name, table, listed, unique=False, sqlite_where=condition, postgresql_where=condition)
