"""What is looked at when a database on a server is opened: the server, then whose tables these are, then what for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreUnusable
from agentflow.store.postgres.sentences import shown
from agentflow.store.revision import SCHEMA, known, warn_of_move

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Connection

logger = logging.getLogger("agentflow.store")

SERVER: Final = """
    SELECT current_setting('server_encoding'), pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
        current_schema(), current_user, current_setting('search_path')
"""
DURABILITY: Final = """
    SELECT name FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND reset_val = 'off' ORDER BY name
"""
FOUND: Final = r"""
    SELECT n.nspname, c.relname, pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relname LIKE 'agentflow\_%' AND n.nspname = ANY (current_schemas(false))
"""
FORBIDDEN: Final = r"""
    SELECT p.right || ' on ' || c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(
        CASE c.relkind WHEN 'S' THEN ARRAY['USAGE'] ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END
    ) AS p("right")
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'S')
    AND c.relname LIKE 'agentflow\_%' AND c.relname <> 'agentflow_schema'
    AND NOT CASE c.relkind
        WHEN 'S' THEN has_sequence_privilege(c.oid, p.right) ELSE has_table_privilege(c.oid, p.right)
    END
    ORDER BY c.relkind = 'S', c.relname, p.right
"""
MOVED: Final = """
    SELECT 1 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND t.tgname = 'agentflow_moved' LIMIT 1
"""
LOST: Final = {
    "fsync": "a power cut or a crash of its host can destroy all of it; turn fsync on",
    "full_page_writes": "a power cut can destroy parts of it; turn full_page_writes on",
    "synchronous_commit": "so it is turned on for every transaction here, or what was answered could be lost",
}


def require_usable(url: str, connection: Connection[Any]) -> None:
    """Raise `StoreUnusable` for a server that holds other text than UTF-8, takes no writes or has no schema for us.

    What makes it forget is said loudly, and allowed.
    """
    encoding, is_read_only, schema, user, path = _row(connection, SERVER)
    if encoding != "UTF8":
        raise StoreUnusable(
            f"database {shown(url)} holds {encoding}, which cannot hold every text; make one with "
            "`createdb --encoding=UTF8 --template=template0`, and name that"
        )
    if is_read_only:
        raise StoreUnusable(
            f"database {shown(url)} takes no writes: the server is a standby, or default_transaction_read_only is on; "
            "name the primary server, or turn that off"
        )
    if schema is None:
        raise StoreUnusable(
            f"database {shown(url)} has no schema that user {user} may use (search_path is {path}); make one "
            f"(CREATE SCHEMA … AUTHORIZATION {user}), or GRANT USAGE, CREATE ON SCHEMA … TO {user}"
        )
    for (name,) in connection.execute(DURABILITY):
        logger.warning("database %s runs with %s=off: %s", shown(url), name, LOST[name])


def revision_of(url: str, connection: Connection[Any]) -> str | None:
    """The revision of our schema, None where there is none yet and one may be made.

    Raises `StoreUnusable` for tables that are not ours, are newer or not all there, or may not be used.
    """
    schema = _row(connection, "SELECT current_schema()")[0]
    found = connection.execute(FOUND).fetchall()
    ours = {name: (may_alter, owner) for place, name, may_alter, owner in found if place == schema}
    if "agentflow_schema" in ours:
        return _known(url, connection, ours)
    if ours:
        raise StoreUnusable(
            f"database {shown(url)} has tables named {', '.join(sorted(ours)[:3])} in schema {schema} that agentflow "
            "did not make; name another database or schema"
        )
    if elsewhere := [place for place, name, _, _ in found if name == "agentflow_schema"]:
        raise StoreUnusable(
            f"database {shown(url)} has agentflow's tables in schema {elsewhere[0]}, but search_path puts {schema} "
            f"first, where there are none; add options=-csearch_path%3D{elsewhere[0]} to the URL"
        )
    if not _row(connection, "SELECT has_schema_privilege(current_schema(), 'CREATE')")[0]:
        raise StoreUnusable(
            f"database {shown(url)} lets this user make no tables in schema {schema}; "
            f'GRANT CREATE ON SCHEMA {schema} TO "{_row(connection, "SELECT current_user")[0]}"'
        )
    return None


def _known(url: str, connection: Connection[Any], ours: Mapping[str, tuple[bool, str]]) -> str:
    """The revision the tables say they have. Raises `StoreUnusable` if they cannot be used, or brought up to date."""
    _require_rights(url, connection)
    row = connection.execute("SELECT version_num FROM agentflow_schema").fetchone()
    revision = known(shown(url), None if row is None else str(row[0]), ours)
    if connection.execute(MOVED).fetchone() is not None:
        warn_of_move(shown(url))
    others = sorted({owner for may_alter, owner in ours.values() if not may_alter})
    if revision < SCHEMA and others:
        raise StoreUnusable(
            f"database {shown(url)} has an older schema, which only the owner of its tables can bring up to date; "
            f"run `agentflow db upgrade` once as {others[0]}"
        )
    return revision


def _require_rights(url: str, connection: Connection[Any]) -> None:
    forbidden = [right for (right,) in connection.execute(FORBIDDEN)]
    if forbidden:
        user, schema = _row(connection, "SELECT current_user, current_schema()")
        more = f" and {len(forbidden) - 3} more" if len(forbidden) > 3 else ""  # noqa: PLR2004  a few show the pattern
        raise StoreUnusable(
            f"database {shown(url)} does not give user {user} what it needs ({', '.join(forbidden[:3])}{more}); GRANT "
            f'SELECT, INSERT, UPDATE, DELETE ON ALL TABLES and USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO "{user}"'
        )


def _row(connection: Connection[Any], query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row
