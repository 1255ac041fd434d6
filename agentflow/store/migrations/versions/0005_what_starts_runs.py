"""What starts runs: schedules in full, deliveries as they came, subscribers, listeners, tokens of the API, tags."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXTS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() "
    "AND table_name LIKE 'agentflow\\_%' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
)


def upgrade() -> None:
    _schedules()
    _deliveries()
    _subscriptions()
    _listeners()
    _tokens()
    _tags()
    if op.get_bind().dialect.name == "postgresql":
        _order_texts_as_sqlite_does()


def _schedules() -> None:
    with op.batch_alter_table("agentflow_schedule", table_kwargs={"sqlite_strict": True}) as batch_op:
        for name, default in (("source", "code"), ("overlap", "allow"), ("catch_up", "latest")):
            batch_op.add_column(sa.Column(name, sa.Text(), server_default=default, nullable=False))
        batch_op.add_column(sa.Column("spread", LONG, server_default="0", nullable=False))
        batch_op.add_column(sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
        for name in ("start_at", "end_at", "plan_from", "paused_at", "changed_at"):
            batch_op.add_column(sa.Column(name, LONG, nullable=True))
        for name in ("occurrence_as", "paused_by", "pause_reason", "changed_by"):
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=True))
        batch_op.create_check_constraint(
            op.f("ck_agentflow_schedule_overlap"), "overlap IN ('allow', 'skip', 'queue', 'cancel')"
        )
        batch_op.create_check_constraint(op.f("ck_agentflow_schedule_source"), "source IN ('code', 'program')")
    with op.batch_alter_table("agentflow_occurrence", table_kwargs={"sqlite_strict": True}) as batch_op:
        batch_op.alter_column("run_id", existing_type=sa.Text(), nullable=True)
        batch_op.add_column(sa.Column("kind", sa.Text(), server_default="due", nullable=False))
        batch_op.add_column(sa.Column("outcome", sa.Text(), server_default="started", nullable=False))
        batch_op.add_column(sa.Column("reason", sa.Text(), nullable=True))
        for name in ("revision", "count"):
            batch_op.add_column(sa.Column(name, sa.Integer(), server_default="1", nullable=False))
        batch_op.create_check_constraint(
            op.f("ck_agentflow_occurrence_kind"), "kind IN ('due', 'caught_up', 'backfill', 'by_hand')"
        )
        batch_op.create_check_constraint(
            op.f("ck_agentflow_occurrence_outcome"), "outcome IN ('started', 'queued', 'skipped', 'missed')"
        )
    _index("ix_agentflow_schedule_plan_from", "agentflow_schedule", ["plan_from"], "plan_from IS NOT NULL")
    table, schedule = "agentflow_occurrence", "schedule_id"
    _index("ix_agentflow_occurrence_started", table, [schedule, "run_id"], "run_id IS NOT NULL")
    _index("ix_agentflow_occurrence_queued", table, [schedule, "fire_at"], "outcome = 'queued'")
    _backfills()
    _schedule_changes()


def _backfills() -> None:
    table = "agentflow_backfill"
    op.create_table(
        table,
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "schedule_id")),
        *(sa.Column(name, LONG, nullable=False) for name in ("since", "until", "cursor")),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("started", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", LONG, nullable=False),
        sa.Column("finished_at", LONG, nullable=True),
        sa.Column("cancelled_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "overlap IN ('allow', 'skip', 'queue', 'cancel')", name=op.f("ck_agentflow_backfill_overlap")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_backfill")),
        sqlite_strict=True,
    )
    _index("ix_agentflow_backfill_open", table, ["created_at", "id"], "finished_at IS NULL")
    op.create_index("ix_agentflow_backfill_schedule_id_created_at", table, ["schedule_id", "created_at"], unique=False)


def _schedule_changes() -> None:
    table = "agentflow_schedule_change"
    op.create_table(
        table,
        sa.Column("id", LONG, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("schedule_id", "change", "changed_by", "reason")),
        sa.Column("at", LONG, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_schedule_change")),
        sqlite_strict=True,
    )
    op.create_index("ix_agentflow_schedule_change_schedule_id", table, ["schedule_id", "id"], unique=False)


def _deliveries() -> None:
    """Each has an id of its own now, since one that is refused or conflicts is kept too."""
    op.drop_index("ix_agentflow_delivery_received_at", "agentflow_delivery")
    op.add_column("agentflow_delivery", sa.Column("id", sa.Text(), nullable=True))
    op.execute("UPDATE agentflow_delivery SET id = 'dlv_' || webhook || ':' || delivery_id")
    with op.batch_alter_table("agentflow_delivery", table_kwargs={"sqlite_strict": True}) as batch_op:
        batch_op.drop_constraint("pk_agentflow_delivery", type_="primary")
        batch_op.alter_column("id", existing_type=sa.Text(), nullable=False)
        batch_op.create_primary_key("pk_agentflow_delivery", ["id"])
        batch_op.alter_column("run_id", existing_type=sa.Text(), nullable=True)
        for name, default in (("outcome", "started"), ("headers", "[]"), ("encoding", "utf-8")):
            batch_op.add_column(sa.Column(name, sa.Text(), server_default=default, nullable=False))
        for name in ("reason", "detail", "body", "redelivery_of", "requested_by"):
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=True))
        batch_op.create_check_constraint(
            op.f("ck_agentflow_delivery_outcome"), "outcome IN ('started', 'ignored', 'refused', 'conflict')"
        )
    table, first = "agentflow_delivery", "outcome <> 'conflict' AND redelivery_of IS NULL"
    _index("uq_agentflow_delivery_delivery_id_webhook", table, ["delivery_id", "webhook"], first, unique=True)
    others = "outcome = 'conflict' OR redelivery_of IS NOT NULL"
    _index("ix_agentflow_delivery_others", table, ["delivery_id", "webhook", "received_at", "id"], others)
    for narrowed in ([], ["outcome"], ["webhook"], ["webhook", "outcome"]):
        name = "_".join(["ix", table, *narrowed, "received_at"])
        op.create_index(name, table, [*narrowed, "received_at", "id"], unique=False)
    _blobs(table, "body")


def _subscriptions() -> None:
    op.create_table(
        "agentflow_subscription",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "url", "events")),
        sa.Column("tasks", sa.Text(), server_default="[]", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_until", LONG, nullable=True),
        *(sa.Column(name, LONG, nullable=False) for name in ("cursor", "created_at")),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("disabled_at", LONG, nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("disabled_by", "disabled_reason")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_subscription")),
        sqlite_strict=True,
    )
    op.create_table(
        "agentflow_dispatch",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "subscription_id", "event", "key", "run_id")),
        sa.Column("entry_id", LONG, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("payload", "status")),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", LONG, nullable=True),
        sa.Column("log", sa.Text(), server_default="[]", nullable=False),
        sa.Column("created_at", LONG, nullable=False),
        sa.Column("delivered_at", LONG, nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed', 'discarded')", name=op.f("ck_agentflow_dispatch_status")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["agentflow_subscription.id"], name=op.f("fk_agentflow_dispatch_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_dispatch")),
        sqlite_strict=True,
    )
    table, listed = "agentflow_dispatch", ["created_at", "id"]
    op.create_index("uq_agentflow_dispatch_subscription_id_key", table, ["subscription_id", "key"], unique=True)
    op.create_index("ix_agentflow_dispatch_created_at", table, listed, unique=False)
    mine = "ix_agentflow_dispatch_subscription_id_created_at"
    op.create_index(mine, table, ["subscription_id", *listed], unique=False)
    _index("ix_agentflow_dispatch_due", table, ["subscription_id", "next_at", "entry_id"], "status = 'pending'")
    _index("ix_agentflow_dispatch_undelivered", table, listed, "status <> 'delivered'")
    _blobs(table, "payload")


def _listeners() -> None:
    op.create_table(
        "agentflow_listener",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "task", "pattern")),
        *(sa.Column(name, LONG, nullable=False) for name in ("created_at", "declared_at")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_listener")),
        sqlite_strict=True,
    )
    op.create_table(
        "agentflow_match",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("event_id", "listener_id", "status")),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("run_id", "reason")),
        sa.Column("created_at", LONG, nullable=False),
        sa.Column("settled_at", LONG, nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'started', 'ignored', 'failed')", name=op.f("ck_agentflow_match_status")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["agentflow_event.id"], name=op.f("fk_agentflow_match_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "listener_id", name=op.f("pk_agentflow_match")),
        sqlite_strict=True,
    )
    table, in_time = "agentflow_match", ["created_at", "event_id"]
    _index("ix_agentflow_match_pending", table, [*in_time, "listener_id"], "status = 'pending'")
    _index("ix_agentflow_match_failed", table, in_time, "status = 'failed'")
    op.create_index("ix_agentflow_match_created_at", table, in_time, unique=False)
    op.create_index("ix_agentflow_match_listener_id_created_at", table, ["listener_id", *in_time], unique=False)
    op.add_column("agentflow_event", sa.Column("woken", sa.Text(), nullable=True))


def _tokens() -> None:
    op.create_table(
        "agentflow_api_token",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "name", "digest", "scopes")),
        sa.Column("created_at", LONG, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        *(sa.Column(name, LONG, nullable=True) for name in ("expires_at", "revoked_at")),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("last_used_at", LONG, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_api_token")),
        sqlite_strict=True,
    )
    _index("uq_agentflow_api_token_name", "agentflow_api_token", ["name"], "revoked_at IS NULL", unique=True)
    op.create_table(
        "agentflow_session",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "token_id")),
        *(sa.Column(name, LONG, nullable=False) for name in ("created_at", "seen_at")),
        sa.ForeignKeyConstraint(["token_id"], ["agentflow_api_token.id"], name=op.f("fk_agentflow_session_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agentflow_session")),
        sqlite_strict=True,
    )
    op.create_index("ix_agentflow_session_created_at", "agentflow_session", ["created_at"], unique=False)


def _tags() -> None:
    for name in ("tags", "metadata"):
        op.add_column("agentflow_run", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "agentflow_run_tag",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("tag", "run_id")),
        sa.ForeignKeyConstraint(["run_id"], ["agentflow_run.id"], name=op.f("fk_agentflow_run_tag_run_id")),
        sa.PrimaryKeyConstraint("tag", "run_id", name=op.f("pk_agentflow_run_tag")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_agentflow_run_tag_run_id", "agentflow_run_tag", ["run_id"], unique=False)


def _blobs(table: str, column: str) -> None:
    _index(f"ix_{table}_blob_{column}", table, [column], f"substr(\"{column}\", 1, 5) = 'blob:'")


def _index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _order_texts_as_sqlite_does() -> None:
    """Byte by byte, as those of the tables that were there before."""
    changes: dict[str, list[str]] = {}
    for table, column in op.get_bind().execute(sa.text(TEXTS)):
        changes.setdefault(table, []).append(f'ALTER COLUMN "{column}" TYPE text COLLATE "C"')
    for table, alterations in sorted(changes.items()):
        op.execute(f"ALTER TABLE {table} {', '.join(alterations)}")
