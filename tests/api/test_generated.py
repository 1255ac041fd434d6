"""Requests made from our own OpenAPI document, fitting and not: no answer but those it tells of.

`make generated`, which is `AGENTFLOW_TEST_LONG=1`, makes 80 of them for each operation instead of 5, others each time,
and besides those that lie at and past each bound of the document: some 15 minutes on two cores.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from tests.api.site import document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.site import Site

IS_LONG: Final = bool(os.environ.get("AGENTFLOW_TEST_LONG"))
EXAMPLES: Final = int(os.environ.get("AGENTFLOW_TEST_EXAMPLES", "80" if IS_LONG else "5"))
SEED: Final = int(os.environ.get("AGENTFLOW_TEST_SEED", random.randrange(2**32) if IS_LONG else 20261123))
# What fits a schema may still name a task that there is not, or take a rule for none: that is refused, and well so.
# Who may call what is asked of every operation in test_every_operation.py.
EXCLUDED: Final = ("positive_data_acceptance", "ignored_auth")
OWN: Final = {"run_id", "approval_id", "task_id", "event_id", "schedule_id", "delivery_id", "subscription_id", "name"}


def configured() -> Any:
    """Without what it says of tokens: each request here has one, and none is to be taken for a try without."""
    phases = {"coverage": {"enabled": IS_LONG}, "stateful": {"enabled": False}}
    told = document()
    for operations in told["paths"].values():
        for one in operations.values():
            del one["security"]
    return schemathesis.openapi.from_dict(told, config=schemathesis.Config.from_dict({"phases": phases, "seed": SEED}))


SCHEMA = configured()


@pytest.fixture(scope="module")
def session(site: Site) -> Iterator[requests.Session]:
    """A program with a token; followers of runs that are under way are told at once that the server ends."""
    site.app.state.desk.streams.end()
    with requests.Session() as session:
        session.headers["authorization"] = f"Bearer {site.token}"
        yield session


@pytest.fixture(autouse=True)
def shown_seed() -> None:
    print(f"AGENTFLOW_TEST_SEED={SEED}")  # noqa: T201  pytest shows it when the test fails


@pytest.mark.timeout(600 if IS_LONG else 300)
@SCHEMA.parametrize()
@settings(max_examples=EXAMPLES, derandomize=not IS_LONG, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_answer_is_unheard_of(case: Any, site: Site, session: requests.Session) -> None:
    excluded = list(EXCLUDED)
    if case.meta.generation.mode.is_positive and len(str(case.body)) % 2:  # every other time about what there is
        for name in OWN & set(case.path_parameters or ()):
            case.path_parameters[name] = site.ids[name][len(str(case.query)) % len(site.ids[name])]
    if case.operation.path.endswith("/events"):
        excluded.append("response_schema_conformance")  # it takes the schema of the stream for that of each event
    case.call_and_validate(
        base_url=site.url, session=session, excluded_checks=[CHECKS.get_one(name) for name in excluded]
    )
