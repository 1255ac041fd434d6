"""Buttons of the form that decide nothing: rows added, moved and removed, and the way between fields and JSON."""

from __future__ import annotations

import json
from typing import Final

from agentflow.approvals import apply_action
from approvals_ui.drafts import Draft

KEPT: Final = ("comment", "decision_id", "version")
KEPT_AS_JSON: Final = (
    "The JSON differs from what the task proposed, so it stays JSON. "
    "Send it from here, or discard it to go back to the fields."
)


def acted(draft: Draft, action: str) -> Draft:
    """The draft after the button was pressed, everything typed kept."""
    sent = {name: values for name, values in (draft.submission or {}).items() if name not in ("action", "reviewed")}
    kept = {name: values for name, values in sent.items() if name in KEPT}
    match action:
        case "view:edit":
            return Draft(draft.approval, sent)
        case "view:json":
            text = json.dumps(draft.value, indent=2, ensure_ascii=False)
            return Draft(draft.approval, {**kept, "json": [text]})
        case "view:fields" if draft.is_changed or draft.problems:
            return Draft(draft.approval, sent, note=KEPT_AS_JSON)
        case "view:fields" | "view:reset":
            return Draft(draft.approval, kept)
        case _:
            form = apply_action(draft.schema, draft.original, sent, action, confidence=draft.confidence)
            return Draft(draft.approval, sent, shaped=form)
