"""Scripts rely on the exit codes, so each error has one, written down in one table."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from agentflow import errors
from agentflow.cli import exits
from agentflow.cli.exits import MEANINGS, ExitCode, Refused, code_of, document_of
from agentflow.errors import AgentflowError, FieldProblem, InvalidDecision, InvalidInput

CODES = {
    errors.RunFailed: ExitCode.FAILED,
    errors.RunCancelled: ExitCode.FAILED,
    errors.Diverged: ExitCode.FAILED,
    errors.DefinitionError: ExitCode.BAD_INPUT,
    errors.InvalidSetting: ExitCode.BAD_INPUT,
    errors.InvalidInput: ExitCode.BAD_INPUT,
    errors.InvalidDuration: ExitCode.BAD_INPUT,
    errors.InvalidDecision: ExitCode.BAD_INPUT,
    errors.NotRecordable: ExitCode.BAD_INPUT,
    errors.PayloadTooLarge: ExitCode.BAD_INPUT,
    errors.RunNotFound: ExitCode.NOT_FOUND,
    errors.ApprovalNotFound: ExitCode.NOT_FOUND,
    errors.TaskNotFound: ExitCode.NOT_FOUND,
    errors.IllegalTransition: ExitCode.CONFLICT,
    errors.IdempotencyMismatch: ExitCode.CONFLICT,
    errors.AlreadyDecided: ExitCode.CONFLICT,
    errors.ApprovalExpired: ExitCode.CONFLICT,
    errors.ApprovalWithdrawn: ExitCode.CONFLICT,
    errors.StaleVersion: ExitCode.CONFLICT,
    errors.StoreUnavailable: ExitCode.UNUSABLE,
    errors.StoreUnusable: ExitCode.UNUSABLE,
}


@pytest.mark.parametrize(("kind", "code"), CODES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_each_error_ends_a_command_with_its_code(kind: type[AgentflowError], code: ExitCode) -> None:
    assert code_of(kind.__new__(kind)) is code


def test_a_mistake_of_the_program_is_a_failure() -> None:
    assert code_of(ZeroDivisionError()) is ExitCode.FAILED


def test_a_refusal_carries_its_own_code() -> None:
    assert code_of(Refused("the port is in use", ExitCode.UNUSABLE)) is ExitCode.UNUSABLE


def test_the_table_says_what_every_code_means() -> None:
    assert exits.__doc__ is not None
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", exits.__doc__, re.MULTILINE)] == list(ExitCode)
    assert list(MEANINGS) == list(ExitCode)


def refusals() -> Iterator[AgentflowError]:
    problem = FieldProblem("/total", "'ten' (str)", "a number")
    yield InvalidInput(task="pay", errors=[problem])
    yield InvalidDecision(approval_id="apr_1", errors=[problem])


@pytest.mark.parametrize("error", list(refusals()), ids=lambda error: type(error).__name__)
def test_the_error_document_names_each_field_with_what_was_found_and_wanted(error: AgentflowError) -> None:
    document = document_of(error, str(error))["error"]
    assert document["fields"] == [{"field": "/total", "found": "'ten' (str)", "wanted": "a number"}]
    assert document["exit_code"] == 2
