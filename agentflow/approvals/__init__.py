"""The pure rules of approvals: schemas, forms, validation, differences, digests, and text that is safe to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.later import names

if TYPE_CHECKING:
    from agentflow.approvals.calls import call_title, telling
    from agentflow.approvals.diff import Change, ChangeKind, changes, outcome_of, patch
    from agentflow.approvals.digest import approval_digest, require_decided, schema_digest, value_digest
    from agentflow.approvals.forms import (
        Field,
        FieldKind,
        Form,
        Option,
        Parsed,
        Submission,
        apply_action,
        build_form,
        parse_form,
    )
    from agentflow.approvals.locked import locked_changes
    from agentflow.approvals.pointers import ABSENT, Json, Schema
    from agentflow.approvals.problems import Problem
    from agentflow.approvals.schema import Described, describe, schema_of, settable
    from agentflow.approvals.text import Piece, has_hidden, mixed_scripts, visible
    from agentflow.approvals.validation import schema_problems, validate
    from agentflow.approvals.words import Segment

__all__ = [
    "ABSENT",
    "Change",
    "ChangeKind",
    "Described",
    "Field",
    "FieldKind",
    "Form",
    "Json",
    "Option",
    "Parsed",
    "Piece",
    "Problem",
    "Schema",
    "Segment",
    "Submission",
    "apply_action",
    "approval_digest",
    "build_form",
    "call_title",
    "changes",
    "describe",
    "has_hidden",
    "locked_changes",
    "mixed_scripts",
    "outcome_of",
    "parse_form",
    "patch",
    "require_decided",
    "schema_digest",
    "schema_of",
    "schema_problems",
    "settable",
    "telling",
    "validate",
    "value_digest",
    "visible",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = names(
        __name__,
        {
            "agentflow.approvals.calls": ("call_title", "telling"),
            "agentflow.approvals.diff": ("Change", "ChangeKind", "changes", "outcome_of", "patch"),
            "agentflow.approvals.digest": ("approval_digest", "require_decided", "schema_digest", "value_digest"),
            "agentflow.approvals.forms": (
                "Field",
                "FieldKind",
                "Form",
                "Option",
                "Parsed",
                "Submission",
                "apply_action",
                "build_form",
                "parse_form",
            ),
            "agentflow.approvals.locked": ("locked_changes",),
            "agentflow.approvals.pointers": ("ABSENT", "Json", "Schema"),
            "agentflow.approvals.schema": ("Described", "describe", "schema_of", "settable"),
            "agentflow.approvals.text": ("Piece", "has_hidden", "mixed_scripts", "visible"),
            "agentflow.approvals.problems": ("Problem",),
            "agentflow.approvals.validation": ("schema_problems", "validate"),
            "agentflow.approvals.words": ("Segment",),
        },
    )
