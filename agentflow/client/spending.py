"""What runs spend on language models and may spend, and what agents say and are told."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from agentflow.client.hiding import without_tokens_in
from agentflow.client.reading import Reading
from agentflow.client.waits import Waits
from agentflow.durations import duration
from agentflow.errors import IllegalTransition, InvalidMessage, InvalidSetting
from agentflow.ids import GRANT, new_id
from agentflow.later import later
from agentflow.requests import CostsFilter, GrantBudget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow import conversation
    from agentflow.conversation import Conversation
    from agentflow.records import BudgetState, CostsRow, Event, Spent, ThreadPart, UsageLine
else:
    conversation = later("agentflow.conversation")

MAIL: Final = "agentflow.mail"
"""The event by which a message reaches an agent that is at work; its key is the run."""
LONGEST_MESSAGE: Final = 20_000
MOST_DAYS: Final = timedelta(days=3660)
MICRO: Final = timedelta(microseconds=1)


class Spending(Reading, Waits):
    """Costs, budgets, and conversations."""

    # -- money

    async def usage(self, run_id: str) -> Sequence[UsageLine]:
        """What each recorded attempt of a model call of this very run used, in order, the failed ones too."""
        return await self._store.usage(run_id)

    async def spent(self, run_id: str) -> Spent:
        """What the run and all runs below it have spent."""
        return await self._store.spent(run_id)

    async def costs(
        self,
        *,
        since: datetime | timedelta | str = "30d",
        until: datetime | None = None,
        task: str | None = None,
        model: str | None = None,
    ) -> Sequence[CostsRow]:
        """What was spent by day (UTC), task and model, the newest day first; also by runs that are gone.

        `since` is an instant, or a span back from `until`, which is now unless given: "30d" are whole days, the last of
        them the present one. Raises `InvalidDuration`, or `InvalidSetting` for a naive instant.
        """
        last = self.now() if until is None else _aware("until", until)
        start = _aware("since", since) if isinstance(since, datetime) else _days_back(last, duration(since))
        end = last + MICRO if until is None else last  # a call of this very instant counts
        return await self._store.costs(CostsFilter(since=start, until=end, task=task, model=model))

    async def budgets(self, run_id: str) -> Sequence[BudgetState]:
        """The budgets the run holds, in the order they were made, each with what is spent of it."""
        return await self._store.budgets(run_id)

    async def grant_budget(
        self,
        run_id: str,
        key: str = "",
        *,
        by: str,
        tokens: int = 0,
        cost: Decimal | str | None = None,
        grant_id: str | None = None,
    ) -> BudgetState:
        """The budget `key` of the run with more tokens or US dollars in it; the same `grant_id` grants once.

        A limit the budget does not have stays none. Raises `RunNotFound` where there is no such budget, or
        `InvalidSetting` for an amount; nothing was granted then.
        """
        more = _dollars(cost)
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
            raise InvalidSetting(f"tokens={tokens!r}: wanted a whole number, 1 or more. Nothing was granted")
        if not tokens and not more:
            raise InvalidSetting("neither tokens nor a cost is given. Nothing was granted")
        made = grant_id or new_id(GRANT, self.now())
        return await self._store.grant_budget(
            GrantBudget(id=made, run_id=run_id, key=key, by=by, tokens=tokens, cost=more)
        )

    # -- words

    async def conversations(self, run_id: str) -> tuple[Conversation, ...]:
        """What the agents of the run have said and done so far, one conversation for each agent call.

        Empty for a run without agents. Tokens of callbacks are hidden. Raises `RunNotFound`.
        """
        await self._store.run(run_id)
        entries = [without_tokens_in(one) for one in await self._store.entries(run_id)]
        return conversation.conversations(entries)

    async def thread(self, name: str, *, upto: int | None = None) -> Sequence[ThreadPart]:
        """The parts of a conversation that goes on across runs, in order, up to the one with this `seq`."""
        return await self._store.thread(name, upto=upto)

    async def tell(self, run_id: str, text: str, *, by: str, id: str | None = None) -> Event:
        """Send a message to the agent of a run that is at work; it reads it within its next two turns.

        The same `id` again is the same message. Raises `RunNotFound`, `IllegalTransition` for a run that has ended, or
        `InvalidMessage` for an empty or too long one; nothing was sent then.
        """
        if not text.strip():
            raise InvalidMessage("the message is empty; nothing was sent")
        if len(text) > LONGEST_MESSAGE:
            found = f"{len(text):,} characters, of at most {LONGEST_MESSAGE:,}"
            raise InvalidMessage(f"the message has {found}; nothing was sent")
        run = await self._store.run(run_id)
        if run.is_finished:
            remedy = "Nothing was sent; start another run, in the same thread if it has one"
            raise IllegalTransition(run_id=run.id, verb="be told anything", status=run.status, remedy=remedy)
        told = text.encode(errors="replace").decode().replace("\0", "\ufffd")
        return await self.send_event(MAIL, {"text": told, "by": by}, key=run.id, id=id, by=by)


def _aware(what: str, at: datetime) -> datetime:
    if at.tzinfo is None:
        raise InvalidSetting(f"{what}={at!r}: wanted an aware datetime (with a time zone)")
    return at


def _days_back(end: datetime, span: timedelta) -> datetime:
    """From when on a span counts: one of days begins at midnight UTC, so that each of its days is whole."""
    start = end - min(span, MOST_DAYS)
    if span % timedelta(days=1):
        return start
    return (start + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _dollars(cost: Decimal | str | None) -> Decimal | None:
    try:
        found = None if cost is None else Decimal(str(cost).strip().removeprefix("$"))
    except InvalidOperation:
        found = Decimal("NaN")
    if found is not None and not (found.is_finite() and found > 0):
        raise InvalidSetting(f'cost={cost!r}: wanted US dollars above 0, such as "2.50". Nothing was granted')
    return found
