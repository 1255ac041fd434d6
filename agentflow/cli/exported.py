"""An exported run: everything its replay needs, in one JSON document that says which version of the format it is."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agentflow import states
from agentflow._version import __version__
from agentflow.cli.exits import Refused
from agentflow.cli.inputs import parse_json
from agentflow.records import Approval, Entry, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    T = TypeVar("T")

FORMAT: Final = "agentflow run"
VERSION: Final = 1
MICROSECOND: Final = timedelta(microseconds=1)
AGAIN: Final = "export the run again with `agentflow export RUN --output FILE`"
_PLAIN: Final[dict[str, tuple[type, ...]]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


@dataclasses.dataclass(frozen=True, slots=True)
class Exported:
    """A run with its journal and its approvals, as they were when it was exported."""

    run: Run
    journal: Sequence[Entry]
    approvals: Sequence[Approval]


def document_of(exported: Exported) -> dict[str, Any]:
    """The document: the records field by field, payloads as the text they are stored as."""
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "agentflow": __version__,
        "run": _written(exported.run),
        "journal": [_written(entry) for entry in exported.journal],
        "approvals": [_written(approval) for approval in exported.approvals],
    }


def read_export(path: str) -> Exported:
    """The run in this file. Raises `Refused`, saying what to do, for what is none, is damaged or of another version."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is damaged: no UTF-8 text (byte {error.start}); {AGAIN}") from None
    try:
        document = parse_json(text, source=path)
    except Refused as error:
        raise Refused(f"{path} is damaged: {str(error).removeprefix(f'{path}: ')}; {AGAIN}") from None
    _check_format(document, path)
    try:
        return _exported(document)
    except _Damaged as found:
        raise Refused(f"{path} is damaged: {found}; {AGAIN}") from None


def _check_format(document: Any, path: str) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Refused(f"{path} is no exported run; `agentflow export RUN --output FILE` makes one")
    version = document.get("format_version")
    if version != VERSION:
        maker = document.get("agentflow")
        raise Refused(
            f"{path} is of format version {json.dumps(version)}, made by agentflow {maker}; this agentflow "
            f"({__version__}) reads version {VERSION}: replay it with the agentflow that made it, or {AGAIN}"
        )


class _Damaged(Exception):
    """What is wrong with a document."""


def _exported(document: dict[str, Any]) -> Exported:
    run = _read(Run, document.get("run"), "run")
    journal = [_read(Entry, one, f"journal[{place}]") for place, one in enumerate(_list(document, "journal"))]
    approvals = [_read(Approval, one, f"approvals[{place}]") for place, one in enumerate(_list(document, "approvals"))]
    for place, entry in enumerate(journal):
        if entry.seq != place + 1:
            raise _Damaged(f"its journal has entry {entry.seq} where entry {place + 1} belongs")
    strangers = ({one.run_id for one in journal} | {one.run_id for one in approvals}) - {run.id}
    if strangers:
        raise _Damaged(f"it is of run {run.id} and has records of {min(strangers)}")
    return Exported(run, journal, approvals)


def _list(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    if not isinstance(found, list):
        raise _Damaged(f"{name} is no list")
    return found


# -- records, by the text of their fields' annotations: names of plain types, instants, spans and enums of `states`


def _written(record: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(record, field.name)) for field in dataclasses.fields(record)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value // MICROSECOND
    return str(value) if isinstance(value, StrEnum) else value


def _read(cls: type[T], document: Any, place: str) -> T:
    if not isinstance(document, dict):
        raise _Damaged(f"{place} is no object")
    record: Any = cls
    values = {}
    for field in dataclasses.fields(record):
        if field.name not in document:
            raise _Damaged(f"{place} has no {field.name}")
        values[field.name] = _value(str(field.type), document[field.name], f"{place}.{field.name}")
    return cls(**values)


def _value(annotation: str, value: Any, place: str) -> Any:
    kind, _, may_be_none = annotation.partition(" | ")
    if value is None and may_be_none:
        return None
    try:
        if kind == "datetime":
            return _instant(value)
        if kind == "timedelta":
            return timedelta(microseconds=value)
        if kind not in _PLAIN:
            return getattr(states, kind)(value)
    except (TypeError, ValueError, OverflowError):
        raise _Damaged(f"{place} is {json.dumps(value)[:40]}, which is no {kind}") from None
    if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise _Damaged(f"{place} is {json.dumps(value)[:40]}, which is no {kind}")
    return value


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found
