"""Values in and out of the store.

What a task sees is always the decoded value, so a live run and its replay cannot differ. Values are JSON: JSON's own
types stay plain, other types carry a `$tag`, and objects (models, dataclasses, NamedTuples, enums) are read back as a
class that the annotation names. Nothing is pickled and no class is imported by a stored name.
"""

from __future__ import annotations

from agentflow.payloads.canonical import canonical, digest, json_text
from agentflow.payloads.decoding import decode
from agentflow.payloads.encoding import LIMIT, encode
from agentflow.payloads.plain import from_json, is_stand_in, large_stand_in, preview, readable, to_json
from agentflow.payloads.problems import pointer, problems, shown
from agentflow.payloads.recording import record

__all__ = [
    "LIMIT",
    "canonical",
    "decode",
    "digest",
    "encode",
    "from_json",
    "is_stand_in",
    "json_text",
    "large_stand_in",
    "pointer",
    "preview",
    "problems",
    "readable",
    "record",
    "shown",
    "to_json",
]
