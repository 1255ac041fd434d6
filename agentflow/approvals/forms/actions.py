"""Buttons of a form that decide nothing: they add, remove and move rows, or show the fields of another alternative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentflow.approvals.forms import names

if TYPE_CHECKING:
    from agentflow.approvals.forms.fields import Submission


@dataclass(frozen=True, slots=True)
class Acted:
    """The submission as it is after an action, and the paths whose inputs the sender has not seen yet."""

    submission: Submission
    fresh: frozenset[str] = frozenset()
    understood: bool = True


def act(submission: Submission, action: str) -> Acted:
    """Carry out `action` ("add:/lines", "remove:/lines/2", "up:…", "down:…", "variant:/payment=card")."""
    verb, _, place = action.partition(":")
    if verb == "add":
        return _add(submission, place)
    if verb == "variant":
        return _switch(submission, place)
    if verb in ("remove", "up", "down"):
        return _move(submission, verb, place)
    return Acted(submission, understood=False)


def _add(submission: Submission, path: str) -> Acted:
    name = f"{names.ROWS}{path}"
    if name not in submission:
        return Acted(submission, understood=False)
    key = f"{names.ADDED}{_free_number(submission, path)}"
    return Acted({**submission, name: [*submission[name], key]}, frozenset({f"{path}/{key}"}))


def _free_number(submission: Submission, path: str) -> int:
    """A number no row of this list has had, so that nothing typed into a removed row comes back."""
    start = f"{path}/{names.ADDED}"
    used = [key.removeprefix(names.ADDED) for key in submission[f"{names.ROWS}{path}"] if key.startswith(names.ADDED)]
    for name in submission:
        if names.is_ours(name):
            own = name[name.index(":") + 1 :]
            used += [own.removeprefix(start).partition("/")[0]] if own.startswith(start) else []
    return 1 + max((int(number) for number in used if number.isascii() and number.isdigit()), default=0)


def _move(submission: Submission, verb: str, place: str) -> Acted:
    path, key = names.split(place)
    name = f"{names.ROWS}{path}"
    keys = [row for row in submission.get(name, ()) if row]
    if key not in keys:
        return Acted(submission, understood=False)
    index = keys.index(key)
    keys.remove(key)
    if verb != "remove":
        keys.insert(max(index - 1, 0) if verb == "up" else index + 1, key)
    return Acted({**submission, name: ["", *keys]})


def _switch(submission: Submission, place: str) -> Acted:
    path, told, wanted = place.partition("=")
    chosen = [wanted] if told else list(submission.get(f"{names.VARIANT}{path}", ()))[-1:]
    if f"{names.SHOWN}{path}" not in submission or not chosen:
        return Acted(submission, understood=False)
    switched = {f"{names.SHOWN}{path}": chosen, f"{names.VARIANT}{path}": chosen}
    return Acted({**submission, **switched}, frozenset({path}))
