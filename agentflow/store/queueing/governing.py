"""Which runs of a queue with limits may start now.

The limits hold exactly because a claim counts and takes in one transaction, and transactions that claim of one queue
exclude each other: on SQLite by its one writer, elsewhere because a claim locks the names of what it counts.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select

from agentflow.states import RunStatus
from agentflow.store import tables
from agentflow.store.queueing import lines, queues, spending
from agentflow.store.queueing.lines import DEFAULT, Asked, Candidate, Lineup
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentflow.limits import Limits, Rate
    from agentflow.store.queueing.queues import Stored
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
BUSY = Statement(
    select(run.c.queue_key, run.c.worker_id)
    .where(
        run.c.status == const(RunStatus.RUNNING.value),
        run.c.queue != const(DEFAULT),
        run.c.queue == bindparam("queue"),
    )
    .with_hint(*by_index(run, "ix_agentflow_run_busy"))
)
PAGE: Final = 64
PAGE_OF_KEY: Final = 4
MOST_SKIPPED: Final = 64


@dataclass(frozen=True, slots=True)
class Claiming:
    """One claim: for which worker, up to how many runs, and what it has taken so far of each bucket."""

    tx: Transaction
    asked: Asked
    worker_id: str
    room: int
    taken: Counter[str] = field(default_factory=Counter)


class Purse:
    """What starts of one queue may still take. It closes at the first that cannot be afforded: nobody overtakes it."""

    def __init__(self, claiming: Claiming, queue: str, limits: Limits) -> None:
        self._claiming = claiming
        self._buckets = spending.buckets(queue, limits)
        self._spent: dict[str, int] = {}
        self.is_open = True

    def take(self, one: Candidate) -> bool:
        """Whether the run may start; a first start takes its share."""
        if not one.is_new:
            return True
        self.is_open = all(self._affords(one, *bucket) for bucket in self._buckets)
        if self.is_open:
            for bucket, _, by_cost in self._buckets:
                self._claiming.taken[bucket] += one.cost if by_cost else 1
        return self.is_open

    def _affords(self, one: Candidate, bucket: str, rate: Rate, by_cost: bool) -> bool:
        if bucket not in self._spent:
            self._spent[bucket] = spending.spent(self._claiming.tx, bucket, rate)
        held = self._spent[bucket] + self._claiming.taken[bucket]
        # More than the whole budget, which was lowered since, starts alone: it would stand in the way for ever.
        return held == 0 or held + (one.cost if by_cost else 1) <= rate.amount


def counted(known: Mapping[str, Stored], served: Iterable[str]) -> list[str]:
    """What a claim counts and takes of these queues, by the names under which it is locked."""
    governed = [known[name] for name in served if name in known and known[name].is_governed]
    buckets = [bucket for one in governed for bucket, _, _ in spending.buckets(one.name, one.limits)]
    return [*(f"queue:{one.name}" for one in governed), *buckets]


def pick(claiming: Claiming, one: Stored) -> list[Candidate]:
    """The runs of this queue that may start now, in their order, as many as there is room for."""
    if one.paused_at is not None:
        return []
    limits = one.limits
    busy = claiming.tx.rows(BUSY, {"queue": one.name}) if limits.count_running else []
    free = [claiming.room]
    if limits.concurrency is not None:
        free.append(limits.concurrency - len(busy))
    if limits.per_worker is not None:
        free.append(limits.per_worker - sum(worker == claiming.worker_id for _, worker in busy))
    if min(free) <= 0:
        return []
    choice = Choice(claiming, one, min(free), Counter(key for key, _ in busy))
    if limits.fair:
        choice.take_turns()
    elif limits.per_key is not None:
        choice.oldest_of_free_keys()
    else:
        choice.oldest()
    return choice.chosen


class Choice:
    """Choosing `slots` runs of a queue, of whose keys `of_key` are running."""

    def __init__(self, claiming: Claiming, queue: Stored, slots: int, of_key: Counter[str | None]) -> None:
        self._claiming = claiming
        self._queue = queue
        self._slots = slots
        self._busy = of_key
        self._per_key = queue.limits.per_key
        self._begin()

    def _begin(self) -> None:
        self._of_key = self._busy.copy()
        self._purse = Purse(self._claiming, self._queue.name, self._queue.limits)
        self.chosen: list[Candidate] = []

    def _lineup(self, page: int) -> Lineup:
        return Lineup(self._claiming.tx, self._claiming.asked, self._queue.name, page=page)

    def _lineup_of(self, key: str | None) -> Lineup:
        return Lineup(self._claiming.tx, self._claiming.asked, self._queue.name, key=key, page=PAGE_OF_KEY)

    @property
    def is_full(self) -> bool:
        """Whether there is room for no more."""
        return len(self.chosen) >= self._slots

    def _is_taken(self, key: str | None) -> bool:
        return self._per_key is not None and self._of_key[key] >= self._per_key

    def _next_of(self, lineup: Lineup) -> Candidate | None:
        """The oldest run of the line-up that can be afforded, taken."""
        while (one := lineup.pop(with_new=self._purse.is_open)) is not None:
            if self._purse.take(one):
                return one
        return None

    def _choose(self, one: Candidate) -> None:
        self.chosen.append(one)
        self._of_key[one.queue_key] += 1

    def oldest(self) -> None:
        """Oldest first."""
        lineup = self._lineup(min(self._slots, PAGE))
        while not self.is_full and (one := self._next_of(lineup)) is not None:
            self._choose(one)

    def oldest_of_free_keys(self) -> None:
        """Oldest first, without the keys that have as many running as they may.

        The oldest runs are looked through first; where too many of them are of such keys, each key's own.
        """
        lineup, skipped = self._lineup(PAGE), 0
        while not self.is_full and skipped < MOST_SKIPPED:
            head = lineup.head(with_new=self._purse.is_open)
            if head is None:
                return
            if self._is_taken(head.queue_key):
                lineup.pop(with_new=self._purse.is_open)
                skipped += 1
            elif (one := self._next_of_head(lineup)) is not None:
                self._choose(one)
        if not self.is_full:
            self._give_back()
            self._oldest_by_key()

    def _next_of_head(self, lineup: Lineup) -> Candidate | None:
        one = lineup.pop(with_new=self._purse.is_open)
        return one if one is not None and self._purse.take(one) else None

    def _give_back(self) -> None:
        """Begin anew, with nothing taken."""
        for bucket, _, by_cost in spending.buckets(self._queue.name, self._queue.limits):
            self._claiming.taken[bucket] -= sum(one.cost if by_cost else 1 for one in self.chosen if one.is_new)
        self._begin()

    def _oldest_by_key(self) -> None:
        heads: list[tuple[int, str, str | None, Lineup]] = []

        def push(key: str | None, lineup: Lineup) -> None:
            head = None if self._is_taken(key) else lineup.head(with_new=self._purse.is_open)
            if head is not None:
                heapq.heappush(heads, (head.available_at, head.id, key, lineup))

        for key in [None, *lines.keys_after(self._claiming.tx, self._queue.name, "")]:
            push(key, self._lineup_of(key))
        while heads and not self.is_full:
            _, _, key, lineup = heapq.heappop(heads)
            if (one := self._next_of_head(lineup)) is not None:
                self._choose(one)
            push(key, lineup)

    def take_turns(self) -> None:
        """One of each key in turn, beginning after the one that was served last; keys with fewest running first."""
        lineups: dict[str | None, Lineup] = {}
        for key in self._keys_in_turn():
            if self.is_full:
                return
            if key not in self._busy:
                lineups[key] = self._lineup_of(key)
                if (one := self._next_of(lineups[key])) is not None:
                    self._choose(one)
        places = {key: place for place, key in enumerate(self._in_turn({*lineups, *self._busy}))}
        heap = [(self._of_key[key], place, key) for key, place in places.items()]
        heapq.heapify(heap)
        while heap and not self.is_full:
            _, place, key = heapq.heappop(heap)
            lineup = lineups.setdefault(key, self._lineup_of(key))
            if not self._is_taken(key) and (one := self._next_of(lineup)) is not None:
                self._choose(one)
                heapq.heappush(heap, (self._of_key[key], place, key))

    def _keys_in_turn(self) -> Iterator[str | None]:
        """Every key in whose name a run stands in the queue, beginning after the one that was served last."""
        last = self._queue.turn_key
        key = None if last is None else self._key_after(last)
        while key is not None:
            yield key
            key = self._key_after(key)
        yield None
        key = self._key_after("")
        while key is not None and (last is None or key <= last):
            yield key
            key = self._key_after(key)

    def _key_after(self, key: str) -> str | None:
        return lines.next_key(self._claiming.tx, self._queue.name, key, with_new=self._purse.is_open)

    def _in_turn(self, keys: Iterable[str | None]) -> list[str | None]:
        last = self._queue.turn_key
        return sorted(keys, key=lambda key: (last is None or (key or "") <= last, key or ""))


# -- after the claim


def settle(claiming: Claiming, governed: Mapping[str, Stored], claimed: Mapping[str, Sequence[Candidate]]) -> None:
    """Note what the runs that were taken, by queue and in their order, cost, and whose turn was the last."""
    by_bucket: dict[str, list[tuple[str, int]]] = {}
    for name, taken in claimed.items():
        if (one := governed.get(name)) is None or not taken:
            continue
        if one.limits.fair:
            claiming.tx.run(queues.SERVED, {"queue": name, "turn_key": taken[-1].queue_key or ""})
        for bucket, _, by_cost in spending.buckets(name, one.limits):
            amounts = [(each.id, each.cost if by_cost else 1) for each in taken if each.is_new]
            by_bucket.setdefault(bucket, []).extend(pair for pair in amounts if pair[1])
    for bucket, amounts in by_bucket.items():
        if amounts:
            shared = [rate.per for one in governed.values() for name, rate, _ in _buckets(one) if name == bucket]
            spending.take(claiming.tx, bucket, amounts, max(shared))


def _buckets(one: Stored) -> list[tuple[str, Rate, bool]]:
    return spending.buckets(one.name, one.limits)


def next_starts(tx: Transaction) -> list[int]:
    """The instants at which runs of named queues fall due, or may start again because a rate or budget allows more."""
    found: list[int | None] = []
    named = lines.named(tx)
    known = queues.stored(tx) if named else {}
    for name in named:
        found.append(lines.next_time(tx, name))
        if name in known:
            found.append(next_start_at(tx, known[name]))
    return [at for at in found if at is not None]


def next_start_at(tx: Transaction, one: Stored) -> int | None:
    """When the passing of time alone next lets a run of this queue start that is due and may not yet."""
    buckets = [] if one.paused_at is not None else _buckets(one)
    head = tx.row(lines.LONGEST_WAITING, {"queue": one.name, "now": tx.now}) if buckets else None
    if head is None:
        return None
    blocked = [
        spending.next_release_at(tx, bucket, rate)
        for bucket, rate, by_cost in buckets
        if spending.free_at(tx, bucket, rate, head[0] if by_cost else 1) is not None
    ]
    return min((at for at in blocked if at is not None), default=None)
