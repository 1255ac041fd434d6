"""Large payloads, kept once: of a text above `INLINE` bytes the column holds the name, a table of its own the text.

The name is `blob:<sha256>:<bytes>`, which no JSON begins with; a text that is no JSON and begins so is kept as a blob
whatever its size, so nothing is mistaken for a name. Verbs know nothing of it: a transaction puts names in place of
texts when a statement stores them, and texts in place of names when one gives them, in one query for all its rows.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, insert, select

from agentflow.errors import StoreUnusable
from agentflow.payloads import large_stand_in
from agentflow.store import tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import BindParameter

    from agentflow.store.transaction import Row, Transaction

INLINE = 128 * 1024
SURELY_INLINE = INLINE // 4  # characters, each of four bytes at most
MARK = "blob:"
MOST_AT_ONCE = 500
STOOD_IN = ("input", "output")

blob = table_of(tables.BlobRow)
_NEW = ("digest", "content", "size", "created_at")
KEEP = Statement(
    insert(blob).from_select(
        _NEW,
        select(*(bindparam(name, type_=blob.c[name].type) for name in _NEW)).where(
            # One that is there is held, so that nobody removes it as unused before this transaction ends.
            ~exists(
                select(const(1)).where(blob.c.digest == bindparam("digest")).with_for_update(read=True, key_share=True)
            )
        ),
    )
)


@cache
def _find(count: int) -> Statement:
    digests: list[BindParameter[str]] = [bindparam(f"digest{n}") for n in range(count)]
    return Statement(select(blob.c.digest, blob.c.content).where(blob.c.digest.in_(digests)))


# -- in


def large(statement: Statement, params: Mapping[str, Any]) -> list[str]:
    """Which of the statement's payloads are to be kept as blobs; usually none, found out by their lengths."""
    found = []
    for name in statement.stores:
        text = params[name]
        if text is not None and (len(text) > SURELY_INLINE or text.startswith(MARK)) and is_large(text):
            found.append(name)
    return found


def is_large(text: str) -> bool:
    """Whether the text is kept as a blob."""
    return (len(text) > SURELY_INLINE and _size(text) > INLINE) or text.startswith(MARK)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def keep(tx: Transaction, params: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The parameters with these texts kept as blobs, each once however often it is stored, and named in their place."""
    return {**params, **{name: _keep(tx, params[name]) for name in names}}


def _keep(tx: Transaction, text: str) -> str:
    content = text.encode()
    digest = hashlib.sha256(content).hexdigest()
    tx.run(KEEP, {"digest": digest, "content": text, "size": len(content), "created_at": tx.now})
    return f"{MARK}{digest}:{len(content)}"


# -- out


def whole(tx: Transaction, statement: Statement, found: Sequence[Row]) -> Sequence[Row]:
    """The rows that the statement gave, with texts in place of names.

    Raises `StoreUnusable` for a text that is missing or is not the one that was stored.
    """
    places = [
        (number, at, column)
        for number, row in enumerate(found)
        for at, column in statement.gives
        if (value := row[at]) is not None and value.startswith(MARK)
    ]
    if not places:
        return found
    stood_in = STOOD_IN if statement.is_brief else ()
    texts = _texts(tx, {found[number][at] for number, at, column in places if column not in stood_in})
    made = list(found)
    for number, at, column in places:
        name = made[number][at]
        text = _stand_in(name) if column in stood_in else texts.get(name)
        if text is None:
            raise _unusable(statement, made[number], column, name)
        made[number] = (*made[number][:at], text, *made[number][at + 1 :])
    return made


def _stand_in(name: str) -> str:
    _, digest, size = name.split(":")
    return large_stand_in(digest, int(size))


def _texts(tx: Transaction, named: Collection[str]) -> dict[str, str]:
    """The texts of these names; those that are missing or damaged are left out."""
    by_digest = {name.split(":")[1]: name for name in named}
    texts = {}
    for some in _batches(sorted(by_digest)):
        params = {f"digest{n}": digest for n, digest in enumerate(some)}
        for digest, text in tx.rows(_find(len(some)), params):
            if hashlib.sha256(text.encode()).hexdigest() == digest:
                texts[by_digest[digest]] = text
    return texts


def _batches(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(digests), MOST_AT_ONCE):
        yield digests[at : at + MOST_AT_ONCE]


def _unusable(statement: Statement, row: Row, column: str, name: str) -> StoreUnusable:
    known = {label: row[at] for at, label in statement.owner if row[at] is not None}
    whose = f"run {known['run_id']}" if "run_id" in known else known.get("id", "a row")
    if "key" in known:
        whose += f", key {known['key']},"
    return StoreUnusable(
        f"the {column} of {whose} is kept as blob {name.split(':')[1]}, which is missing or damaged; "
        "restore the database from a backup"
    )
