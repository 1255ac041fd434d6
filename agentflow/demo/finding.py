"""Three ways of finding a distribution's licence, best first. Each answers, or raises `NoAnswer` and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow.demo import spdx
from agentflow.demo.classifiers import CANDIDATES, licence_names
from agentflow.demo.distributions import read_licence_file
from agentflow.demo.findings import Answer, Metadata, NoAnswer, Quote
from agentflow.demo.fingerprints import Match, recognise

if TYPE_CHECKING:
    from collections.abc import Callable

EXPRESSION, LICENCE_FIELD, METADATA = "License-Expression", "License field", "metadata"
CLASSIFIER, FILES, GUESS, NOTHING = "classifiers", "licence files", "guess", "nothing"
SURE: Final = {EXPRESSION: 1.0, LICENCE_FIELD: 0.95, CLASSIFIER: 0.75}
JOINED: Final = 0.6  # several licences: whether all hold, or one may be chosen, the files do not say
GUESSED: Final = 0.4
_SHOWN: Final = 80


def by_expression(metadata: Metadata) -> Answer:
    """The SPDX expression in the metadata."""
    for found_by, header, text in (
        (EXPRESSION, "License-Expression", metadata.expression),
        (LICENCE_FIELD, "License", metadata.licence),
    ):
        if text and not spdx.problem(text):
            quote = Quote(document=metadata.document, text=f"{header}: {text}")
            return Answer(expression=spdx.canonical(text), confidence=SURE[found_by], found_by=found_by, quotes=[quote])
    given = metadata.expression or metadata.licence
    if not given:
        raise NoAnswer("no licence expression is given")
    raise NoAnswer(f"“{_short(given)}” is no SPDX expression: {spdx.problem(given)}")


def by_classifiers(metadata: Metadata) -> Answer:
    """The licence the classifiers name, if they name exactly one."""
    names = licence_names(metadata.classifiers)
    if not names:
        raise NoAnswer("no classifier names a licence")
    if len(names) > 1:
        raise NoAnswer(f"the classifiers name {len(names)} licences: {', '.join(names)}")
    candidates = CANDIDATES.get(names[0], ())
    if not candidates:
        raise NoAnswer(f"the classifier “{names[0]}” names no licence of the SPDX list")
    if len(candidates) > 1:
        raise NoAnswer(f"the classifier “{names[0]}” may mean {' or '.join(candidates)}")
    return Answer(
        expression=candidates[0], confidence=SURE[CLASSIFIER], found_by=CLASSIFIER, quotes=_classifier_quotes(metadata)
    )


def by_licence_files(metadata: Metadata) -> Answer:
    """The licence whose text came with the distribution."""
    if not metadata.files:
        raise NoAnswer("no licence file came with it")
    found: dict[str, tuple[str, Match]] = {}
    for path in metadata.files:
        for match in recognise(read_licence_file(metadata.distribution, path)):
            known = found.get(match.expression)
            if known is None or known[1].confidence < match.confidence:
                found[match.expression] = (path, match)
    if not found:
        raise NoAnswer(f"{', '.join(metadata.files)} match{'es' * (len(metadata.files) == 1)} no well-known licence")
    confidence = min(match.confidence for _, match in found.values())
    return Answer(
        expression=" AND ".join(sorted(found)),
        confidence=confidence if len(found) == 1 else min(JOINED, confidence),
        found_by=FILES,
        quotes=[Quote(document=path, text=match.lines) for path, match in found.values()],
    )


def with_earlier(metadata: Metadata, answer: Answer) -> Answer:
    """The answer together with why each better way had none: they read recorded metadata, so they say it again."""
    if answer.found_by in (EXPRESSION, LICENCE_FIELD):
        return answer
    ways = ((METADATA, by_expression), (CLASSIFIER, by_classifiers))
    asked = ways[:1] if answer.found_by == CLASSIFIER else ways
    return answer.model_copy(update={"earlier": [f"{found_by}: {_refusal(way, metadata)}" for found_by, way in asked]})


def best_guess(metadata: Metadata, files_refusal: str) -> Answer:
    """What to propose when no way answered: what the first telling classifier most often means, or nothing."""
    earlier = [
        f"{METADATA}: {_refusal(by_expression, metadata)}",
        f"{CLASSIFIER}: {_refusal(by_classifiers, metadata)}",
        f"{FILES}: {files_refusal}",
    ]
    for name in licence_names(metadata.classifiers):
        for candidate in CANDIDATES.get(name, ()):
            quotes = _classifier_quotes(metadata)
            return Answer(expression=candidate, confidence=GUESSED, found_by=GUESS, quotes=quotes, earlier=earlier)
    return Answer(expression="", confidence=0.0, found_by=NOTHING, earlier=earlier)


def _refusal(way: Callable[[Metadata], Answer], metadata: Metadata) -> str:
    try:
        way(metadata)
    except NoAnswer as error:
        return str(error)
    return "answered"


def _classifier_quotes(metadata: Metadata) -> list[Quote]:
    lines = [f"Classifier: {text}" for text in metadata.classifiers if text.startswith("License")]
    return [Quote(document=metadata.document, text="\n".join(lines))]


def _short(text: str) -> str:
    line = text.splitlines()[0]
    return line if len(text) <= _SHOWN and line == text else f"{line[:_SHOWN]}…"
