"""The tree a page renders: every field with its names, texts, hints, problems and the agent's own value beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from agentflow.approvals.forms import names
from agentflow.approvals.pointers import ABSENT, Absent, Json, Schema, within

if TYPE_CHECKING:
    from agentflow.approvals.problems import Problem

Submission: TypeAlias = Mapping[str, Sequence[str]]
"""A posted form: each name with its values in the order they were sent."""


class FieldKind(StrEnum):
    """How a field is shown. Dates and times are typed as text: a browser's own pickers drop what they don't know."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    OBJECT = "object"
    TUPLE = "tuple"
    ARRAY = "array"
    MAP = "map"
    VARIANT = "variant"
    JSON = "json"


GROUPS = frozenset({FieldKind.OBJECT, FieldKind.TUPLE, FieldKind.ARRAY, FieldKind.MAP, FieldKind.VARIANT})
"""Kinds that have children instead of an input."""


@dataclass(frozen=True, slots=True)
class Option:
    """One of a closed list: `value` is what is submitted."""

    value: str
    label: str
    selected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One place of the data. Names of inputs are "" where there must be none (a locked field, a group)."""

    pointer: str
    path: str
    kind: FieldKind
    label: str
    description: str = ""
    name: str = ""
    value: str = ""
    """What the input shows. A textarea drops one leading line end: print one before it."""
    agent_text: str | None = None
    """What the agent proposed, in the same form; None where it proposed nothing, or null (see `agent_is_null`)."""
    agent_is_null: bool = False
    required: bool = True
    read_only: bool = False
    options: tuple[Option, ...] = ()
    minimum: str = ""
    maximum: str = ""
    pattern: str = ""
    min_length: int | None = None
    max_length: int | None = None
    format: str = ""
    problems: tuple[Problem, ...] = ()
    confidence: float | None = None
    changed: bool = False
    children: tuple[Field, ...] = ()

    nullable: bool = False
    is_null: bool = False
    """The box `null_name` (value "1") is ticked."""
    optional: bool = False
    """The field may be left out: box `set_name` (value "1") says whether it is there."""
    included: bool = True

    row_key: str = ""
    """In a row of an array or a map: the value of its hidden input `rows_name` of the whole."""
    key_text: str = ""
    """In a row of a map: its key, edited in the input `key_name`."""
    item_template: Field | None = None
    """A blank row; replace `placeholder` in all its names and in its row key by "+" and a number not yet used."""
    placeholder: str = ""
    can_add: bool = False
    can_remove: bool = False

    variant: str = ""
    """The option whose fields are shown: the value of the hidden input `shown_name`."""

    base: Json | Absent = field(default=ABSENT, repr=False)
    """The original value; what an input that was not touched stands for."""
    schema: Schema = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """An HTML id; links of the error summary go to it."""
        start = "v-" if self.kind is FieldKind.VARIANT else "f-"  # the alternative inside has the same path
        return start + quote(self.path, safe="")

    @property
    def is_group(self) -> bool:
        """It has children, and no input of its own."""
        return self.kind in GROUPS

    @property
    def null_name(self) -> str:
        return f"{names.NULL}{self.path}" if self.nullable and not self.read_only else ""

    @property
    def set_name(self) -> str:
        return f"{names.INCLUDED}{self.path}" if self.optional and not self.read_only else ""

    @property
    def rows_name(self) -> str:
        """Of a list or a map: a hidden input with value "" comes first, then one with the `row_key` of each row."""
        rows = self.kind in (FieldKind.ARRAY, FieldKind.MAP) and not self.read_only
        return f"{names.ROWS}{self.path}" if rows else ""

    @property
    def key_name(self) -> str:
        return f"{names.KEY}{self.path}"

    @property
    def variant_name(self) -> str:
        return f"{names.VARIANT}{self.path}" if self.kind is FieldKind.VARIANT and not self.read_only else ""

    @property
    def shown_name(self) -> str:
        return f"{names.SHOWN}{self.path}" if self.variant_name else ""

    @property
    def add_action(self) -> str:
        """The value of the button `action` that adds a row to this list."""
        return f"add:{self.path}"

    @property
    def remove_action(self) -> str:
        return f"remove:{self.path}"

    @property
    def up_action(self) -> str:
        return f"up:{self.path}"

    @property
    def down_action(self) -> str:
        return f"down:{self.path}"

    @property
    def variant_action(self) -> str:
        """The value of the button that shows the fields of what the select `variant_name` holds."""
        return f"variant:{self.path}"

    def walk(self) -> Iterator[Field]:
        """This field and all below it, templates left out."""
        yield self
        for part in self.children:
            yield from part.walk()

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """Its own problems and those of all below it."""
        return tuple(problem for part in self.walk() for problem in part.problems)

    @property
    def lowest_confidence(self) -> float | None:
        """The least confidence anywhere in it, or None where none was given."""
        given = [part.confidence for part in self.walk() if part.confidence is not None]
        return min(given, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form to render: `root` with its `children`, or `json_text` in a textarea named "json" instead of them."""

    root: Field
    json_text: str
    problems: tuple[Problem, ...] = ()
    summary: tuple[tuple[Problem, Field], ...] = ()
    """Each problem with the field to go to for it."""

    @property
    def changes(self) -> int:
        """How many fields with inputs differ from what the agent proposed; `diff.changes` has the last word."""
        return _count_changes(self.root)

    @property
    def by_attention(self) -> tuple[Field, ...]:
        """The top fields: those with problems first, then by confidence, lowest first, then as in the schema."""
        top = self.root.children or (self.root,)
        return tuple(sorted(top, key=_attention))

    def find(self, pointer: str) -> Field | None:
        """The field at this place of the data as it now is, or the nearest one around it."""
        around = [part for part in self.root.walk() if within(pointer, part.pointer)]
        return max(around, key=lambda part: len(part.pointer), default=None)


def _count_changes(part: Field) -> int:
    """Leaves that differ; a part that is new, gone, null or only rearranged counts once."""
    inside = 0 if part.is_null or not part.included else sum(map(_count_changes, part.children))
    if part.row_key.startswith(names.ADDED):
        return 1
    return inside or int(part.changed)


def _attention(top: Field) -> tuple[bool, float]:
    lowest = top.lowest_confidence
    return (not top.all_problems, 2.0 if lowest is None else lowest)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a submission says. With problems, `value` is only good for showing."""

    value: Json
    problems: tuple[Problem, ...] = ()
