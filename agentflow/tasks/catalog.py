"""Catalogs: the definitions a worker or client was given."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard

from agentflow.errors import DefinitionError, TaskNotFound, WebhookNotFound
from agentflow.labels import missing
from agentflow.later import is_imported, later
from agentflow.tasks.queue import declared
from agentflow.tasks.task import Task
from agentflow.tasks.terms import require_batch_of_list

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from agentflow.records import Run
    from agentflow.requests import DeclareQueue
    from agentflow.tasks import listener, schedule, webhook
    from agentflow.tasks.listener import Listener
    from agentflow.tasks.schedule import Schedule
    from agentflow.tasks.webhook import Webhook

    Starter = Schedule | Webhook | Listener
else:
    listener, schedule, webhook = (later(f"agentflow.tasks.{name}") for name in ("listener", "schedule", "webhook"))

_NUMBERS: Final = re.compile(r"([0-9]+)")


class Claimable(NamedTuple):
    """Which runs the tasks of a catalog can go on with: any of `tasks`, and those of exactly these `versions`."""

    tasks: Sequence[str]
    versions: Sequence[tuple[str, str]]


class Catalog:
    """Tasks by id and version, with the schedules, webhooks and listeners that start them.

    `tasks` holds the newest version of each, by the natural order of their texts: "10" is newer than "9". New runs, and
    whatever a schedule or webhook starts, are of that one. `queues` are those that their runs line up in.
    """

    def __init__(self, tasks: Iterable[Task[..., Any]] = (), starters: Iterable[Starter] = ()) -> None:
        self.tasks: dict[str, Task[..., Any]] = {}
        self._versions: dict[str, dict[str, Task[..., Any]]] = {}
        for task in tasks:
            self._add(task)
        every = (task for versions in self._versions.values() for task in versions.values())
        self.queues: Sequence[DeclareQueue] = declared(task.terms.declares for task in every)
        self._starters: Sequence[Starter] = list({id(one): one for one in starters}.values())
        for one in self._starters:
            self.task(one.task)

    @classmethod
    def collect(cls, *definitions: Any) -> Catalog:
        """The tasks in these modules, tasks, or collections of them, with what starts them.

        Raises `DefinitionError` for anything else, and for two different tasks with one id and version; `TaskNotFound`
        for a schedule, webhook or listener whose task is not among them.
        """
        found = [one for definition in definitions for one in _defined_in(definition)]
        return cls([one for one in found if isinstance(one, Task)], [one for one in found if not isinstance(one, Task)])

    def _add(self, task: Task[..., Any]) -> None:
        versions = self._versions.setdefault(task.id, {})
        known = versions.setdefault(task.version, task)
        if known is not task and known.function is not task.function:
            raise DefinitionError(
                f"two tasks have the id {task.id!r} and the version {task.version!r} ({_place(known)} and "
                f"{_place(task)}); give one another id or version"
            )
        self.tasks[task.id] = versions[max(versions, key=_natural)]
        _ = task.signature  # a task whose annotations cannot be read is refused here, not at its first run
        require_batch_of_list(task)

    @property
    def schedules(self) -> Sequence[Schedule]:
        """Every declared schedule."""
        beside = [one for one in self._starters if _is_schedule(one)]
        return [*(one for task in self.tasks.values() for one in task.schedules), *beside]

    @property
    def listeners(self) -> Sequence[Listener]:
        """Every declared listener. Raises `DefinitionError` if two have one id."""
        beside = [one for one in self._starters if _is_listener(one)]
        found = [*(one for task in self.tasks.values() for one in task.listeners), *beside]
        names = Counter(one.id for one in found)
        if twice := [name for name, count in names.items() if count > 1]:
            raise DefinitionError(f"two listeners have the id {twice[0]!r}; give one another id=")
        return found

    @property
    def webhooks(self) -> dict[str, Webhook]:
        """Every declared webhook by its path. Raises `DefinitionError` if two listen on one."""
        beside = [one for one in self._starters if _is_webhook(one)]
        found: dict[str, Webhook] = {}
        for one in [*(one for task in self.tasks.values() for one in task.webhooks), *beside]:
            if one.path in found:
                raise DefinitionError(f"two webhooks listen on {one.path}; give one another path")
            found[one.path] = one
        return found

    def task(self, task_id: str, version: str | None = None) -> Task[..., Any]:
        """The task with this id, of this version or the newest. Raises `TaskNotFound` naming the nearest."""
        versions = self._versions.get(task_id)
        if versions is None:
            raise TaskNotFound(f"there is no task {task_id!r}; {nearest(task_id, self.tasks)}")
        if version is None:
            return self.tasks[task_id]
        if version not in versions:
            there_are = ", ".join(sorted(versions, key=_natural))
            raise TaskNotFound(f"there is no version {version!r} of task {task_id!r}; there are: {there_are}")
        return versions[version]

    def versions(self, task_id: str) -> Mapping[str, Task[..., Any]]:
        """Every version of the task with this id, by its text; none for an unknown id."""
        return self._versions.get(task_id, {})

    def task_for(self, run: Run) -> Task[..., Any] | None:
        """The code this run goes on with: its own version, else the newest if that takes it over; None if it waits."""
        newest = self.tasks.get(run.task)
        own = self.versions(run.task).get(run.version)
        return own or (newest if newest is not None and newest.on_new_version == "carry" else None)

    def claimable(self, labels: Collection[str] = (), only: Collection[str] = ()) -> Claimable:
        """The runs a worker with this catalog and these labels can take; of the tasks `only`, where any are named."""
        taken = [(name, v) for name, v in self._each(only) if not self._lacking(name, v, labels)]
        carried = [name for name, version in taken if version is None]
        return Claimable(carried, [(name, version) for name, version in taken if version is not None])

    def served(self, labels: Collection[str] = (), only: Collection[str] = ()) -> Sequence[str]:
        """What a worker says of itself: `id@version` for each task, and `id@*` where it takes runs of any version."""
        tasks, versions = self.claimable(labels, only)
        exact = [*((name, version) for name in tasks for version in self._versions[name]), *versions]
        return [f"{name}@{version}" for name, version in [*exact, *((name, "*") for name in tasks)]]

    def lacks(self, labels: Collection[str] = (), only: Collection[str] = ()) -> Mapping[str, Sequence[str]]:
        """What a worker with these labels could serve, written as `served` writes it, with the labels it lacks."""
        return {
            f"{name}@{version or '*'}": lacking
            for name, version in self._each(only)
            if (lacking := self._lacking(name, version, labels))
        }

    def _each(self, only: Collection[str]) -> Iterator[tuple[str, str | None]]:
        """Each task that takes runs of any version, with None, and each version of the others."""
        for name, newest in sorted(self.tasks.items()):
            if not only or name in only:
                versions = self._versions[name]
                yield from [(name, None)] if newest.on_new_version == "carry" else [(name, one) for one in versions]

    def _lacking(self, name: str, version: str | None, labels: Collection[str]) -> Sequence[str]:
        """Where runs of any version are taken, what one of the versions needs is needed."""
        versions = self._versions[name]
        tasks = versions.values() if version is None else [versions[version]]
        return sorted({need for task in tasks for need in missing(task.needs, labels)})

    def webhook(self, path: str) -> Webhook:
        """The webhook on this path. Raises `WebhookNotFound`."""
        found = self.webhooks.get(path)
        if found is None:
            raise WebhookNotFound(f"no webhook listens on {path!r}")
        return found


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that says what was probably meant, or what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"there are: {', '.join(names[:10])}" if names else "no task was given"


def _defined_in(definition: Any) -> Iterable[Task[..., Any] | Starter]:
    if _is_definition(definition):
        return [definition]
    if isinstance(definition, ModuleType):
        return [value for value in vars(definition).values() if _is_definition(value)]
    if isinstance(definition, list | tuple | set | frozenset):
        return [one for item in definition for one in _defined_in(item)]
    raise DefinitionError(f"{definition!r} is no task, nothing that starts one, and no module with tasks")


def _is_definition(value: Any) -> bool:
    return isinstance(value, Task) or _is_schedule(value) or _is_webhook(value) or _is_listener(value)


def _is_schedule(value: Any) -> TypeGuard[Schedule]:
    return is_imported("agentflow.tasks.schedule") and isinstance(value, schedule.Schedule)


def _is_webhook(value: Any) -> TypeGuard[Webhook]:
    return is_imported("agentflow.tasks.webhook") and isinstance(value, webhook.Webhook)


def _is_listener(value: Any) -> TypeGuard[Listener]:
    return is_imported("agentflow.tasks.listener") and isinstance(value, listener.Listener)


def _place(task: Task[..., Any]) -> str:
    return f"{getattr(task, '__module__', '?')}.{getattr(task, '__qualname__', '?')}"


def _natural(version: str) -> tuple[list[tuple[int, str]], str]:
    """A key that puts numbers in a text in the order of their values: "1.9" before "1.10"."""
    parts = [part.lstrip("0") if place % 2 else part for place, part in enumerate(_NUMBERS.split(version))]
    return [(len(part) if place % 2 else 0, part) for place, part in enumerate(parts)], version
