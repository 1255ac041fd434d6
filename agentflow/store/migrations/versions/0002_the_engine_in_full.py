"""Waits for events and callbacks, queues with limits, pauses, forks, versions served, large payloads kept once."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATUSES = "'queued', 'running', 'waiting', 'paused', 'needs_attention', 'completed', 'failed', 'cancelled', 'expired'"
NEW = "status = 'queued' AND epoch = 0 AND queue <> 'default'"
AGAIN = "status IN ('queued', 'waiting') AND epoch > 0 AND queue <> 'default'"


def upgrade() -> None:
    _blobs_and_queues()
    _what_runs_wait_for()
    _runs_and_workers()


def _blobs_and_queues() -> None:
    op.create_table(
        "agentflow_blob",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_agentflow_blob")),
        sqlite_strict=True,
    )
    op.create_table(
        "agentflow_breaker",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("counted_from", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("open_until", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("probe_until", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_agentflow_breaker")),
        sqlite_strict=True,
    )
    op.create_table(
        "agentflow_queue",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("declared", sa.Text(), nullable=False),
        sa.Column("overridden", sa.Text(), nullable=True),
        sa.Column("paused_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("turn_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_agentflow_queue")),
        sqlite_strict=True,
    )
    op.create_table(
        "agentflow_queue_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_queue_change")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("agentflow_queue_change") as batch_op:
        batch_op.create_index("ix_agentflow_queue_change_queue_id", ["queue", "id"], unique=False)

    op.create_table(
        "agentflow_spend",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("amount", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("total", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_spend")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("agentflow_spend") as batch_op:
        batch_op.create_index("ix_agentflow_spend_bucket_at", ["bucket", "at"], unique=False)


def _what_runs_wait_for() -> None:
    op.create_table(
        "agentflow_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("sent_by", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_event")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("agentflow_event") as batch_op:
        batch_op.create_index("ix_agentflow_event_name_key_sent_at", ["name", "key", "sent_at", "seq"], unique=False)
        batch_op.create_index("ix_agentflow_event_sent_at", ["sent_at", "id"], unique=False)
        batch_op.create_index("uq_agentflow_event_name_key_seq", ["name", "key", "seq"], unique=True)

    op.create_table(
        "agentflow_callback",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("heartbeat_for", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("due_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("lapses_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("resolved_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'completed', 'failed', 'timed_out', 'cancelled')",
            name=op.f("ck_agentflow_callback_status"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["agentflow_run.id"], name=op.f("fk_agentflow_callback_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_callback")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("agentflow_callback") as batch_op:
        batch_op.create_index(
            "ix_agentflow_callback_lapses_at",
            ["lapses_at"],
            unique=False,
            sqlite_where=sa.text("status = 'pending' AND lapses_at IS NOT NULL"),
            postgresql_where=sa.text("status = 'pending' AND lapses_at IS NOT NULL"),
        )
        batch_op.create_index("ix_agentflow_callback_run_id_key", ["run_id", "key"], unique=False)
        batch_op.create_index("uq_agentflow_callback_token_digest", ["token_digest"], unique=True)

    op.create_table(
        "agentflow_cursor",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["agentflow_run.id"], name=op.f("fk_agentflow_cursor_run_id")),
        sa.PrimaryKeyConstraint("run_id", "name", "key", name=op.f("pk_agentflow_cursor")),
        sqlite_strict=True,
    )
    op.create_table(
        "agentflow_heartbeat",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["agentflow_run.id"], name=op.f("fk_agentflow_heartbeat_run_id")),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_agentflow_heartbeat")),
        sqlite_strict=True,
    )


def _runs_and_workers() -> None:
    # SQLite cannot change a condition: Alembic makes the table anew and copies its rows.
    with op.batch_alter_table("agentflow_run", table_kwargs={"sqlite_strict": True}) as batch_op:
        batch_op.drop_constraint(op.f("ck_agentflow_run_status"), type_="check")
        batch_op.create_check_constraint(op.f("ck_agentflow_run_status"), f"status IN ({STATUSES})")
        batch_op.add_column(sa.Column("queue_key", sa.Text(), nullable=True))
        batch_op.add_column(
            sa.Column("cost", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="1", nullable=False)
        )
        batch_op.add_column(
            sa.Column("expires_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(sa.Column("singleton_key", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("collect_key", sa.Text(), nullable=True))
        batch_op.add_column(
            sa.Column("collect_until", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(sa.Column("collected", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("on_parent_close", sa.Text(), server_default="cancel", nullable=False))
        batch_op.add_column(sa.Column("ending", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("pause", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("forked_from", sa.Text(), nullable=True))
        batch_op.create_index(
            "ix_agentflow_run_busy",
            ["queue", "queue_key"],
            unique=False,
            sqlite_where=sa.text("status = 'running' AND queue <> 'default'"),
            postgresql_where=sa.text("status = 'running' AND queue <> 'default'"),
        )
        batch_op.create_index(
            "ix_agentflow_run_expiry",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("expires_at IS NOT NULL AND status = 'queued' AND epoch = 0"),
            postgresql_where=sa.text("expires_at IS NOT NULL AND status = 'queued' AND epoch = 0"),
        )
        batch_op.drop_index("ix_agentflow_run_due")
        batch_op.create_index(
            "ix_agentflow_run_due",
            ["available_at", "task", "version"],
            unique=False,
            sqlite_where=sa.text("status IN ('queued', 'waiting') AND queue = 'default'"),
            postgresql_where=sa.text("status IN ('queued', 'waiting') AND queue = 'default'"),
        )
        batch_op.create_index(
            "ix_agentflow_run_new",
            ["queue", "available_at", "task", "version"],
            unique=False,
            sqlite_where=sa.text(NEW),
            postgresql_where=sa.text(NEW),
        )
        batch_op.create_index(
            "ix_agentflow_run_new_by_key",
            ["queue", "queue_key", "available_at"],
            unique=False,
            sqlite_where=sa.text(NEW),
            postgresql_where=sa.text(NEW),
        )
        batch_op.create_index(
            "ix_agentflow_run_again",
            ["queue", "available_at", "task", "version"],
            unique=False,
            sqlite_where=sa.text(AGAIN),
            postgresql_where=sa.text(AGAIN),
        )
        batch_op.create_index(
            "ix_agentflow_run_again_by_key",
            ["queue", "queue_key", "available_at"],
            unique=False,
            sqlite_where=sa.text(AGAIN),
            postgresql_where=sa.text(AGAIN),
        )
        batch_op.create_index(
            "uq_agentflow_run_collecting",
            ["task", "collect_key"],
            unique=True,
            sqlite_where=sa.text("collect_key IS NOT NULL AND status = 'queued' AND epoch = 0"),
            postgresql_where=sa.text("collect_key IS NOT NULL AND status = 'queued' AND epoch = 0"),
        )
        batch_op.create_index(
            "uq_agentflow_run_singleton",
            ["task", "singleton_key"],
            unique=True,
            sqlite_where=sa.text("singleton_key IS NOT NULL AND finished_at IS NULL"),
            postgresql_where=sa.text("singleton_key IS NOT NULL AND finished_at IS NULL"),
        )

    with op.batch_alter_table("agentflow_wait") as batch_op:
        batch_op.create_index(
            "ix_agentflow_wait_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("due_at IS NOT NULL AND kind IN ('event', 'message')"),
            postgresql_where=sa.text("due_at IS NOT NULL AND kind IN ('event', 'message')"),
        )

    with op.batch_alter_table("agentflow_worker") as batch_op:
        batch_op.add_column(sa.Column("tasks", sa.Text(), server_default="[]", nullable=False))
