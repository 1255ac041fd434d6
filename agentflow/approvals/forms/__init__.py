"""Forms: a tree that a page renders from a schema and a value, and the way back from what was submitted.

A form that comes back unedited gives exactly the value it was made from, whatever its types: inputs that were not
touched are never parsed.
"""

from __future__ import annotations

from agentflow.approvals.forms.building import apply_action, build_form
from agentflow.approvals.forms.fields import Field, FieldKind, Form, Option, Parsed, Submission
from agentflow.approvals.forms.parsing import parse_form

__all__ = ["Field", "FieldKind", "Form", "Option", "Parsed", "Submission", "apply_action", "build_form", "parse_form"]
