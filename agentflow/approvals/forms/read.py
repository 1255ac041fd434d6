"""From the tree of a submitted form to the value it says, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.approvals.forms import names
from agentflow.approvals.forms.fields import FieldKind
from agentflow.approvals.forms.leaves import Unreadable, read_text, same_text, shown
from agentflow.approvals.forms.rawjson import BadJson, read_json
from agentflow.approvals.pointers import ABSENT, Absent, Json, tokens
from agentflow.approvals.problems import Problem
from agentflow.approvals.sentences import quote

if TYPE_CHECKING:
    from agentflow.approvals.forms.controls import Controls
    from agentflow.approvals.forms.fields import Field

_LOST = "was not sent; reload the page and try again"


class Reader:
    """Reads the fields of one submission; what is wrong is collected in `problems`."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self.problems: list[Problem] = []

    def read(self, field: Field) -> Json | Absent:
        """What the field says now: the original where it was not touched, `ABSENT` where it is left out."""
        if field.read_only:
            return field.base
        if not field.included:
            self._require_untouched(field, "is filled in but left out: tick “include” to keep it, or empty it")
            return ABSENT
        if field.is_null:
            self._require_untouched(field, "is filled in and also null: untick “null” to keep it, or empty it")
            return None
        return self._value(field)

    def _value(self, field: Field) -> Json:
        match field.kind:
            case FieldKind.OBJECT:
                return self._object(field)
            case FieldKind.MAP:
                return self._map(field)
            case FieldKind.VARIANT:
                return self._variant(field)
            case FieldKind.ARRAY | FieldKind.TUPLE:
                return self._list(field)
            case _:
                return self._leaf(field)

    def _object(self, field: Field) -> dict[str, Json]:
        """In the original's order, so that an untouched object is the same text too."""
        found = {_last(part): self.read(part) for part in field.children}
        before = list(field.base) if isinstance(field.base, dict) else []
        order = [name for name in before if name in found] + [name for name in found if name not in before]
        return {name: found[name] for name in order if found[name] is not ABSENT}

    def _list(self, field: Field) -> list[Json]:
        if field.kind is FieldKind.ARRAY:
            self._require_rows(field)
        return [self._item(part) for part in field.children]

    def _item(self, field: Field) -> Json:
        """A part that cannot be left out of its list."""
        found = self.read(field)
        return None if found is ABSENT else found

    def _map(self, field: Field) -> dict[str, Json]:
        self._require_rows(field)
        found: dict[str, Json] = {}
        for row in field.children:
            if self._controls.text(row.path, names.KEY) is None:
                self._refuse(row, f"has a key that {_LOST}")
            if row.key_text in found:
                self._refuse(row, f"has the key {quote(row.key_text)} a second time; give each its own")
            found[row.key_text] = self._item(row)
        return found

    def _variant(self, field: Field) -> Json:
        shown_now, wanted = (self._controls.text(field.path, prefix) for prefix in (names.SHOWN, names.VARIANT))
        if shown_now is None:
            self._refuse(field, _LOST)
        elif shown_now != field.variant or wanted not in (None, *[option.value for option in field.options]):
            self._refuse(field, "is of a kind that is not offered here", tampered=True)
        elif wanted is not None and wanted != shown_now:
            self._refuse(field, f"is to be “{wanted}”, but the fields are those of “{shown_now}”: switch them first")
        return self._item(field.children[0])

    def _leaf(self, field: Field) -> Json:
        text = self._controls.text(field.path)
        if text is None:
            self._refuse(field, _LOST)
            return None if field.base is ABSENT else field.base
        try:
            return read_json(text, field.base) if field.kind is FieldKind.JSON else read_text(field, text)
        except BadJson as bad:
            self.problems.append(bad.problem(field.pointer))
        except Unreadable as wanted:
            found = quote(text)
            message = f"must be {wanted}; found {found}"
            self.problems.append(Problem(pointer=field.pointer, message=message, found=found, wanted=str(wanted)))
        return text

    def _require_rows(self, field: Field) -> None:
        submitted = self._controls.all(field.path, names.ROWS)
        known = len(field.base) if isinstance(field.base, dict | list) else 0
        if not submitted:
            self._refuse(field, _LOST)
        elif not names.row_keys(submitted, known)[1]:
            self._refuse(field, "has rows that are not those of this form", tampered=True)

    def _require_untouched(self, field: Field, message: str) -> None:
        if touched(field):
            self._refuse(field, message)

    def _refuse(self, field: Field, message: str, *, tampered: bool = False) -> None:
        self.problems.append(Problem(pointer=field.pointer, message=message, tampered=tampered))


def touched(field: Field) -> bool:
    """Something was typed into the field or below it that is neither blank nor what it showed before."""
    if not field.is_group:
        blank = field.value == "" or (field.kind is FieldKind.BOOLEAN and field.value == "false")
        return not field.read_only and not blank and not same_text(field.value, shown(field.kind, field.base))
    return any(row.row_key.startswith(names.ADDED) for row in field.children) or any(map(touched, field.children))


def _last(field: Field) -> str:
    return tokens(field.pointer)[-1]
