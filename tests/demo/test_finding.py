from __future__ import annotations

import pytest

from agentflow.demo import finding, spdx
from agentflow.demo.classifiers import CANDIDATES
from agentflow.demo.distributions import digest_of, installed, metadata_of, read_licence_file
from agentflow.demo.findings import Distribution, NoAnswer
from agentflow.demo.fingerprints import FINGERPRINTS, recognise
from tests.demo.conftest import Install

BSD = "Classifier: License :: OSI Approved :: BSD License\n"
MIT = "Classifier: License :: OSI Approved :: MIT License\n"
APACHE = "Classifier: License :: OSI Approved :: Apache Software License\n"


def mit_text() -> str:
    """A licence file of a dependency."""
    found = metadata_of(Distribution(name="litestar", version=""))
    return read_licence_file(found.distribution, found.files[0])


def test_every_identifier_the_finders_can_answer_with_is_on_the_spdx_list() -> None:
    names = [one.expression for one in FINGERPRINTS] + [name for names in CANDIDATES.values() for name in names]
    assert [name for name in names if spdx.problem(name) or spdx.canonical(name) != name] == []


def test_the_expression_of_the_metadata_answers_first(install: Install) -> None:
    found = metadata_of(install("acme", headers="License-Expression: mit or ISC\nLicense: Apache-2.0\n" + BSD))
    answer = finding.by_expression(found)
    assert (answer.expression, answer.confidence, answer.found_by) == ("MIT OR ISC", 1.0, "License-Expression")
    assert answer.quotes[0].document == "acme-1.0.dist-info/METADATA"


def test_the_licence_field_answers_when_it_is_an_expression(install: Install) -> None:
    answer = finding.by_expression(metadata_of(install("acme", headers="License: Apache-2.0\n")))
    assert (answer.expression, answer.found_by) == ("Apache-2.0", "License field")


def test_free_text_in_the_licence_field_is_no_answer(install: Install) -> None:
    found = metadata_of(install("acme", headers="License: Apache 2.0\n"))
    with pytest.raises(NoAnswer, match=r"“Apache 2\.0” is no SPDX expression"):
        finding.by_expression(found)


def test_a_classifier_that_names_one_licence_answers_with_less_confidence(install: Install) -> None:
    answer = finding.by_classifiers(metadata_of(install("acme", headers=MIT)))
    assert answer.expression == "MIT"
    assert answer.confidence < 0.8


@pytest.mark.parametrize(("headers", "why"), [(BSD, "BSD-3-Clause or BSD-2-Clause"), (MIT + APACHE, "2 licences")])
def test_a_classifier_that_may_mean_several_licences_is_no_answer(install: Install, headers: str, why: str) -> None:
    found = metadata_of(install("acme", headers=headers))
    with pytest.raises(NoAnswer, match=why):
        finding.by_classifiers(found)


def test_a_licence_file_answers_with_the_lines_it_was_told_by(install: Install) -> None:
    found = metadata_of(install("acme", **{"licenses/LICENSE": mit_text()}))
    answer = finding.by_licence_files(found)
    assert answer.expression == "MIT"
    assert answer.confidence >= 0.8
    assert answer.quotes[0].document == "acme-1.0.dist-info/licenses/LICENSE"
    assert "Permission is hereby granted" in answer.quotes[0].text


def test_two_licences_in_the_files_are_joined_and_need_a_person(install: Install) -> None:
    notice = "Licensed under the Apache License, Version 2.0; you may not use this file except in compliance"
    found = metadata_of(install("acme", **{"LICENSE-MIT": mit_text(), "LICENSE-APACHE": notice}))
    answer = finding.by_licence_files(found)
    assert answer.expression == "Apache-2.0 AND MIT"
    assert answer.confidence <= 0.6


def test_a_text_that_is_only_partly_a_licence_has_less_confidence() -> None:
    whole = recognise(mit_text())[0]
    part = recognise(mit_text().split("THE SOFTWARE IS PROVIDED")[0])[0]
    assert (whole.expression, part.expression) == ("MIT", "MIT")
    assert part.confidence < 0.8 <= whole.confidence


def test_a_text_that_is_no_licence_is_not_recognised(install: Install) -> None:
    found = metadata_of(install("acme", LICENSE="Ask our lawyers."))
    with pytest.raises(NoAnswer, match="matches no well-known licence"):
        finding.by_licence_files(found)


def test_vendored_licence_files_and_modules_are_not_the_distribution_s_own(install: Install) -> None:
    found = metadata_of(
        install("acme", **{"licenses/src/_vendor/x/LICENSE": "x", "licensing.py": "x", "licenses/LICENSE.txt": "x"})
    )
    assert found.files == ["acme-1.0.dist-info/licenses/LICENSE.txt"]


def test_the_answer_says_why_better_ways_had_none(install: Install) -> None:
    found = metadata_of(install("acme", headers="License: BSD\n" + BSD, LICENSE=mit_text()))
    answer = finding.with_earlier(found, finding.by_licence_files(found))
    assert [text.split(":")[0] for text in answer.earlier] == ["metadata", "classifiers"]
    assert "not on the SPDX list: BSD" in answer.earlier[0]


def test_when_no_way_answers_the_classifier_s_usual_meaning_is_proposed(install: Install) -> None:
    guess = finding.best_guess(metadata_of(install("acme", headers=BSD)), "no licence file came with it")
    assert (guess.expression, guess.found_by) == ("BSD-3-Clause", "guess")
    assert guess.confidence < 0.5
    assert len(guess.earlier) == 3


def test_when_nothing_is_known_nothing_is_proposed(install: Install) -> None:
    guess = finding.best_guess(metadata_of(install("acme")), "no licence file came with it")
    assert (guess.expression, guess.confidence) == ("", 0.0)


def test_a_distribution_that_has_gone_is_no_answer() -> None:
    with pytest.raises(NoAnswer, match="no longer installed"):
        metadata_of(Distribution(name="never-was-here", version="1"))


def test_what_is_installed_is_listed_once_by_name(install: Install) -> None:
    install("Acme.Tools", version="9")
    names = [one.name for one in installed()]
    assert names.count("Acme.Tools") == 1
    assert "litestar" in names
    assert len({name.lower().replace("_", "-").replace(".", "-") for name in names}) == len(names)


def test_another_version_is_another_set() -> None:
    one, other = Distribution(name="a", version="1"), Distribution(name="a", version="2")
    assert digest_of([one]) != digest_of([other])
    assert digest_of([one]) == digest_of([one])


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("boolean.py", "BSD-2-Clause"),
        ("click", "BSD-3-Clause"),
        ("h11", "MIT"),
        ("license-expression", "Apache-2.0"),
        ("pygments", "BSD-2-Clause"),
        ("shellingham", "ISC"),
    ],
)
def test_the_files_of_our_own_dependencies_are_recognised(name: str, expression: str) -> None:
    answer = finding.by_licence_files(metadata_of(Distribution(name=name, version="")))
    assert (answer.expression, answer.confidence >= 0.8) == (expression, True)
