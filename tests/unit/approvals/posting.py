"""What a browser sends for a form: the contract of `Field`, with the changes that browsers make to texts."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

from agentflow.approvals import Field, FieldKind, Form


def post(form: Form, **typed: str) -> dict[str, list[str]]:
    """The submission of a form that nobody touched, but for the inputs in `typed` (by path, without the slash)."""
    pairs = list(_controls(form.root))
    sent = parse_qs(urlencode(pairs, encoding="utf-8"), keep_blank_values=True, strict_parsing=bool(pairs))
    return {**sent, **{f"f:/{path}": [text] for path, text in typed.items()}}


def _controls(field: Field):
    if field.read_only:
        return
    if field.set_name and field.included:
        yield field.set_name, "1"
    if field.null_name and field.is_null:
        yield field.null_name, "1"
    if field.rows_name:
        yield field.rows_name, ""
        for row in field.children:
            yield field.rows_name, row.row_key
            if field.kind is FieldKind.MAP:
                yield row.key_name, _line(row.key_text)
    if field.variant_name:
        yield field.shown_name, field.variant
        yield field.variant_name, field.variant
    for part in field.children:
        yield from _controls(part)
    if not field.is_group:
        yield from _input(field)


def _input(field: Field):
    if field.kind is FieldKind.BOOLEAN:
        yield field.name, "false"
        if field.value == "true":
            yield field.name, "true"
    elif field.kind is FieldKind.CHOICE:
        chosen = [option.value for option in field.options if option.selected]
        yield field.name, (chosen or [field.options[0].value])[0]
    elif field.kind in (FieldKind.LONG_TEXT, FieldKind.JSON):
        yield (
            field.name,
            field.value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").replace("\0", "\ufffd"),
        )
    else:
        yield field.name, _line(field.value)


def _line(text: str) -> str:
    """A one-line input drops line ends, and NUL never reaches it."""
    return text.replace("\r", "").replace("\n", "").replace("\0", "\ufffd")
