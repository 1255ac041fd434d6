"""From a schema, a value and perhaps a submission to the tree of fields. Reading a form starts from the same tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentflow.approvals.forms import names
from agentflow.approvals.forms.fields import Field, FieldKind
from agentflow.approvals.forms.leaves import options_of, same_text, shown
from agentflow.approvals.forms.shapes import Shape, shape_of
from agentflow.approvals.forms.spots import (
    DEPTH,
    LIMIT,
    Known,
    Spot,
    choices,
    default,
    hints,
    is_locked,
    known_rows,
    own_title,
    references,
    row_schema,
    says,
)
from agentflow.approvals.pointers import ABSENT, Json, Schema, child, humanise, member

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow.approvals.forms.controls import Controls


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Makes the fields of one form."""

    root: Schema
    controls: Controls | None = None
    confidence: Mapping[str, float]

    def field(self, spot: Spot) -> Field:
        """The field for a place, with all below it."""
        flat_base = spot.base
        shape = self._shape(spot)
        locked = spot.locked or shape.schema.get("readOnly") is True or says(spot.schema, "readOnly") is True
        spot = replace(spot, locked=locked)
        nullable = shape.nullable and not spot.null_taken
        is_null = nullable and self._ticked(spot, names.NULL, otherwise=flat_base is None)
        included = not spot.optional or self._ticked(spot, names.INCLUDED, otherwise=flat_base is not ABSENT)
        bare = Field(
            pointer=spot.pointer,
            path=spot.path,
            kind=shape.kind,
            label=str(own_title(spot.schema) or spot.label),
            description=str(says(spot.schema, "description") or shape.schema.get("description", "")),
            required=not spot.optional,
            read_only=locked,
            nullable=nullable,
            is_null=is_null,
            optional=spot.optional,
            included=included,
            confidence=None if spot.origin is None else self.confidence.get(spot.origin),
            base=flat_base,
            schema=shape.schema,
            agent_is_null=spot.agent is None,
            **hints(shape.schema),
        )
        silent = spot.silent or is_null or not included
        inside = replace(spot, base=ABSENT if flat_base is None and nullable else flat_base, silent=silent)
        filled = self._group(inside, shape, bare) if bare.is_group else self._leaf(inside, bare)
        changed = not spot.silent and (filled.changed or self._state_changed(spot, filled))
        return replace(filled, changed=changed)

    def _shape(self, spot: Spot) -> Shape:
        blank = spot.base is ABSENT or spot.base is None
        shape = shape_of(spot.schema, spot.base, self.root)
        endless = blank and not references(spot.schema).isdisjoint(spot.blanks)
        if spot.depth > DEPTH or endless or (spot.in_variant and shape.kind is FieldKind.VARIANT):
            return Shape(kind=FieldKind.JSON, schema=shape.schema, nullable=shape.nullable and blank)
        return shape

    def _ticked(self, spot: Spot, prefix: str, *, otherwise: bool) -> bool:
        if self.controls is None or spot.locked:
            return otherwise
        return self.controls.ticked(spot.path, prefix, otherwise=otherwise)

    def _text(self, spot: Spot, prefix: str = names.VALUE) -> str | None:
        return None if self.controls is None or spot.locked else self.controls.text(spot.path, prefix)

    def _state_changed(self, spot: Spot, filled: Field) -> bool:
        """Null or absent now and not in the agent's value, or the other way round."""
        absent_now, null_now = not filled.included, filled.included and filled.is_null
        return absent_now != (spot.agent is ABSENT) or (filled.nullable and null_now != (spot.agent is None))

    def _leaf(self, spot: Spot, bare: Field) -> Field:
        start, text = shown(bare.kind, spot.base), self._text(spot)
        value = start if text is None or self._of_another(spot, bare, text) else text
        had_none = spot.agent is ABSENT or (spot.agent is None and bare.nullable)
        agent_text = None if had_none else shown(bare.kind, spot.agent)
        return replace(
            bare,
            name="" if spot.locked else f"{names.VALUE}{spot.path}",
            value=value,
            agent_text=agent_text,
            options=options_of(bare.schema, spot.base, value) if bare.kind is FieldKind.CHOICE else (),
            changed=not spot.silent and not same_text(value, agent_text or ""),
        )

    def _of_another(self, spot: Spot, bare: Field, text: str) -> bool:
        """The text was chosen in the alternative that was there before, under the same name, and is no choice here."""
        if bare.kind is not FieldKind.CHOICE or self.controls is None or not self.controls.is_fresh(spot.path):
            return False
        return text not in {option.value for option in options_of(bare.schema, spot.base, "")}

    def _group(self, spot: Spot, shape: Shape, bare: Field) -> Field:
        match shape.kind:
            case FieldKind.ARRAY | FieldKind.MAP:
                return self._rows(spot, shape, bare)
            case FieldKind.VARIANT:
                return self._variant(spot, shape, bare)
            case FieldKind.TUPLE:
                children = self._items(spot, shape)
            case _:
                children = self._members(spot, shape)
        return replace(bare, children=children, changed=not spot.silent and any(part.changed for part in children))

    def _members(self, spot: Spot, shape: Shape) -> tuple[Field, ...]:
        properties: dict[str, Json] = shape.schema.get("properties", {})
        required = shape.schema.get("required", [])
        extra = [name for name in spot.base if name not in properties] if isinstance(spot.base, dict) else []
        rest = shape.schema.get("additionalProperties", True)
        below = self._below(spot)
        fields = []
        for name in [*properties, *extra]:
            base = member(spot.base, name)
            if spot.base is ABSENT:
                base = default(properties[name])
            inner = replace(
                below,
                schema=properties.get(name, rest if isinstance(rest, dict) else {}),
                base=base,
                agent=member(spot.agent, name),
                path=names.step(spot.path, name),
                pointer=child(spot.pointer, name),
                origin=None if spot.origin is None else child(spot.origin, name),
                label=humanise(name),
                optional=name not in extra
                and (name not in required or (base is ABSENT and isinstance(spot.base, dict))),
            )
            if base is not ABSENT or not is_locked(inner.schema, spot):
                fields.append(self.field(inner))
        return tuple(fields)

    def _items(self, spot: Spot, shape: Shape) -> tuple[Field, ...]:
        below = self._below(spot)
        return tuple(
            self.field(
                replace(
                    below,
                    schema=schema,
                    base=member(spot.base, place),
                    agent=member(spot.agent, place),
                    path=names.step(spot.path, place),
                    pointer=child(spot.pointer, place),
                    origin=None if spot.origin is None else child(spot.origin, place),
                    label=f"{place + 1}",
                )
            )
            for place, schema in enumerate(shape.schema["prefixItems"])
        )

    def _rows(self, spot: Spot, shape: Shape, bare: Field) -> Field:
        known = known_rows(spot.base)
        unedited = [str(place) for place in range(len(known))]
        submitted = self.controls.all(spot.path, names.ROWS) if self.controls and not spot.locked else []
        keys = names.row_keys(submitted, len(known))[0] if submitted else unedited
        rows = tuple(self._row(spot, shape, key, place, known) for place, key in enumerate(keys))
        placeholder = f"{names.PLACEHOLDER}{spot.path.count(names.PLACEHOLDER)}"
        blank = replace(self, controls=None)
        template = None if spot.locked else blank._row(spot, shape, placeholder, len(keys), [])  # noqa: SLF001 - its own class
        moved = keys != unedited or len(known) != len(spot.agent if isinstance(spot.agent, dict | list) else ())
        word = "Items" if shape.kind is FieldKind.ARRAY else "Properties"
        return replace(
            bare,
            children=rows,
            item_template=template,
            placeholder=placeholder,
            can_add=not spot.locked and len(rows) < shape.schema.get(f"max{word}", LIMIT),
            can_remove=not spot.locked and len(rows) > shape.schema.get(f"min{word}", 0),
            changed=not spot.silent and (moved or any(row.changed for row in rows)),
        )

    def _row(self, spot: Spot, shape: Shape, key: str, place: int, known: Known) -> Field:
        """One row of a list or a map. Its path keeps its key; its pointer says where it is now."""
        number = int(key) if key.isdigit() else None
        token, base = ("", ABSENT) if number is None else known[number]
        inner = replace(
            self._below(spot),
            schema=row_schema(shape),
            base=base,
            agent=ABSENT if number is None else member(spot.agent, token),
            path=f"{spot.path}/{key}",
            origin=None if number is None or spot.origin is None else child(spot.origin, token),
            label=f"{place + 1}",
        )
        if shape.kind is FieldKind.ARRAY:
            return replace(self.field(replace(inner, pointer=child(spot.pointer, place))), row_key=key)
        typed = self._text(inner, names.KEY)
        key_text = str(token) if typed is None else typed
        row = self.field(replace(inner, pointer=child(spot.pointer, key_text)))
        return replace(
            row, row_key=key, key_text=key_text, changed=row.changed or (key_text != token and not spot.silent)
        )

    def _variant(self, spot: Spot, shape: Shape, bare: Field) -> Field:
        sent = self._text(spot, names.SHOWN)
        if self.controls is not None:
            self._text(spot, names.VARIANT)
        chosen = shape.ids.index(sent) if sent in shape.ids else shape.chosen
        same = chosen == shape.chosen
        inner = self.field(
            replace(
                self._below(spot),
                schema=shape.branches[chosen],
                base=spot.base if same else ABSENT,
                agent=spot.agent if same else ABSENT,
                label=spot.label,
                blanks=spot.blanks,
                in_variant=True,
                null_taken=shape.nullable,
            )
        )
        labels = choices(shape, chosen)
        return replace(
            bare,
            children=(inner,),
            variant=shape.ids[chosen],
            options=labels,
            changed=not spot.silent and inner.changed,
        )

    def _below(self, spot: Spot) -> Spot:
        blanks = spot.blanks | references(spot.schema) if spot.base is ABSENT else spot.blanks
        return replace(spot, depth=spot.depth + 1, blanks=blanks, optional=False, in_variant=False, null_taken=False)
