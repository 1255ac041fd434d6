"""Following what the operations of a run say while they are under way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from agentflow.client.spending import Spending
from agentflow.errors import RunNotFound
from agentflow.ids import without_tokens
from agentflow.states import EntryKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from agentflow.records import Chunk, Entry
    from agentflow.store.base import Store

AT_ONCE: Final = 500
ENDS: Final = frozenset({EntryKind.SUCCEEDED, EntryKind.FAILED})
FADED: Final = frozenset({*ENDS, EntryKind.ATTEMPT_FAILED})
LOOK_SECONDS: Final = 2.0  # a change that nobody told of is found this much later


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of what the operation `key` says, or with `is_over` that it is recorded and says no more.

    With `is_new` it begins anew: what its attempts have said before is void. `id` is where to go on from after a break;
    it is that of the piece before for one that `is_over`.
    """

    id: int
    key: str
    attempt: int
    text: str
    is_new: bool = False
    is_over: bool = False


class Following(Spending):
    """Words on their way."""

    async def chunks(self, run_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Chunk]:
        """The pieces of text that operations of the run have said, with ids past `after`; tokens are hidden in them."""
        return [_shown(one) for one in await self._store.chunks(run_id, after=after, limit=limit)]

    async def follow_text(self, run_id: str, *, after: int = 0) -> AsyncIterator[Piece]:
        """What operations of the run are saying, as it comes, until the run has ended.

        What is recorded is left out: it is in the journal. `after` is the id of the last piece that was seen. Raises
        `RunNotFound`.
        """
        await self._store.run(run_id)
        following = _Follow(self._store, run_id, after)
        changes = self.changes()
        change: asyncio.Future[None] = asyncio.ensure_future(anext(changes))
        try:
            while True:
                await asyncio.wait({change}, timeout=LOOK_SECONDS)
                if change.done():
                    change.result()
                    change = asyncio.ensure_future(anext(changes))
                is_finished = await following.is_finished()
                async for piece in following.pieces():
                    yield piece
                if is_finished:
                    return
        finally:
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)
            await _close(changes)


class _Follow:
    """How far one reader has come, in the journal and in the pieces."""

    def __init__(self, store: Store, run_id: str, after: int) -> None:
        self._store = store
        self._run_id = run_id
        self._after = after
        self._seq = 0
        self._ended: set[str] = set()
        self._attempts: dict[str, int] = {}
        self._open: dict[str, int] = {}

    async def is_finished(self) -> bool:
        try:
            return (await self._store.run(self._run_id)).is_finished
        except RunNotFound:  # removed meanwhile
            return True

    async def pieces(self) -> AsyncIterator[Piece]:
        """What is new: first the pieces of what is under way, then which operations are over."""
        over = [key async for key in self._read_on()]
        while found := await self._store.chunks(self._run_id, after=self._after, limit=AT_ONCE):
            for chunk in found:
                self._after = chunk.id
                if chunk.key not in self._ended and chunk.attempt > self._attempts.get(chunk.key, 0):
                    yield self._piece(_shown(chunk))
        for key in over:
            attempt = self._open.pop(key, None)
            if attempt is not None:
                yield Piece(id=self._after, key=key, attempt=attempt, text="", is_over=True)

    def _piece(self, chunk: Chunk) -> Piece:
        is_new = chunk.place == 0 or self._open.get(chunk.key) != chunk.attempt
        self._open[chunk.key] = chunk.attempt
        return Piece(id=chunk.id, key=chunk.key, attempt=chunk.attempt, text=chunk.text, is_new=is_new)

    async def _read_on(self) -> AsyncIterator[str]:
        """The operations whose ends, or failed attempts, have been recorded since."""
        while entries := await self._store.entries(self._run_id, after=self._seq, limit=AT_ONCE):
            self._seq = entries[-1].seq
            for entry in entries:
                if entry.key is not None and entry.kind in FADED:
                    self._end(entry)
                    yield entry.key

    def _end(self, entry: Entry) -> None:
        assert entry.key is not None
        if entry.kind in ENDS:
            self._ended.add(entry.key)
        else:
            self._attempts[entry.key] = entry.attempt


def _shown(chunk: Chunk) -> Chunk:
    text = without_tokens(chunk.text)
    if text is chunk.text:
        return chunk
    return type(chunk)(
        id=chunk.id, run_id=chunk.run_id, key=chunk.key, attempt=chunk.attempt, place=chunk.place, text=text
    )


async def _close(changes: AsyncIterator[None]) -> None:
    with suppress(RuntimeError):  # it is running still: cancelling its reader ends it
        await cast("AsyncGenerator[None]", changes).aclose()
