"""What the review passes between its tasks, shows to a person and writes down."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from agentflow.demo import spdx

DEFAULT_ALLOWED: Final = (
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unlicense",
    "Zlib",
)
DEFAULT_THRESHOLD: Final = 0.8

Outcome = Literal["allowed", "approved", "corrected", "rejected", "failed"]


class NoAnswer(Exception):
    """One way of finding a licence has nothing to say; the message says why. The next way is tried."""


class Distribution(BaseModel):
    """A Python distribution as installed."""

    name: str
    version: str


class Policy(BaseModel):
    """What passes without a person: licences of this list, found with at least this confidence."""

    allow: list[str] = Field(default=list(DEFAULT_ALLOWED))
    threshold: float = Field(default=DEFAULT_THRESHOLD, ge=0.0, le=1.0)


class Review(BaseModel):
    """What is to be reviewed, by what policy, and the folder that takes the report."""

    output: str
    policy: Policy
    distributions: list[Distribution]


class Metadata(BaseModel):
    """What a distribution says about its licence, and where; `files` are licence files that came with it."""

    distribution: Distribution
    document: str
    expression: str = ""
    licence: str = ""
    classifiers: list[str] = []
    files: list[str] = []


class Quote(BaseModel):
    """Words of a document an answer rests on."""

    document: str
    text: str


class Answer(BaseModel):
    """A licence, how sure that is, and what it rests on. The expression is empty where nothing was found."""

    expression: str
    confidence: float
    found_by: str
    quotes: list[Quote] = []
    earlier: list[str] = []


def _only_spdx(schema: dict[str, Any]) -> None:
    """The schema refuses what is not on the SPDX list, so a correction is checked before it is accepted."""
    schema["pattern"] = spdx.pattern()


Locked = Annotated[str, Field(json_schema_extra={"readOnly": True})]


class LicenceFinding(BaseModel):
    """What a person is asked to confirm or to correct."""

    distribution: Locked
    version: Locked
    expression: str = Field(
        title="Licence",
        description="An SPDX expression, such as MIT, or Apache-2.0 OR MIT. LicenseRef-… names one SPDX does not list.",
        json_schema_extra=_only_spdx,
    )


class Reviewed(BaseModel):
    """One line of the report. `found` is the licence before a person saw it."""

    distribution: str
    version: str
    expression: str
    outcome: Outcome
    found: str = ""
    found_by: str = ""
    confidence: float = 0.0
    earlier: list[str] = []
    asked_because: str = ""
    decided_by: str = ""
    comment: str = ""
    receipt: str = ""


class Report(BaseModel):
    """Where the report was written and what it adds up to."""

    markdown: str
    json_file: str
    totals: dict[str, int]
