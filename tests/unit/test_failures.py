from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from agentflow.errors import AllFailed, LeaseLost, OperationFailed, StepTimedOut, UndecodablePayload
from agentflow.failures import Failure, same_in_replay

RAN = []


class Reason(Enum):
    LATE = "late"


@dataclass(frozen=True)
class Order:
    id: int


class Refused(Exception):
    def __init__(self, *, order: Order, reason: Reason) -> None:
        RAN.append(order)
        super().__init__(f"order {order.id} refused")
        self.order = order
        self.reason = reason
        self.held: Any = sys.stdout


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Outer:
    class Inner(LookupError):
        pass


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """The module as an import makes it: found by name."""
    module = type(sys)(__name__)
    vars(module).update(globals())
    monkeypatch.setitem(sys.modules, __name__, module)


def raised(exc: BaseException) -> BaseException:
    with pytest.raises(type(exc)) as caught:
        raise exc
    return caught.value


def again(exc: BaseException) -> Exception:
    failure = Failure.of(raised(exc))
    assert Failure.from_json(failure.to_json()) == failure
    return failure.to_exception()


@pytest.mark.parametrize(
    "exc",
    [
        ValueError("bad", 3, (1, b"x")),
        KeyError("k"),
        FileNotFoundError(2, "No such file", "x.txt"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        StepTimedOut("slow"),
        AllFailed(["a", "b"]),
        LeaseLost(run_id="run_1", epoch=2),
        Outer.Inner("x"),
        ValueError("\ud800\0"),
        Refused(order=Order(1), reason=Reason.LATE),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_the_same_class_arguments_and_text_come_back(exc):
    rebuilt = again(exc)
    assert type(rebuilt) is type(exc)
    assert (rebuilt.args, str(rebuilt)) == (exc.args, str(exc))
    kept = {name: value for name, value in vars(exc).items() if name != "held"}
    assert vars(rebuilt) == kept


def test_a_class_is_rebuilt_without_running_its_own_code():
    exc = Refused(order=Order(1), reason=Reason.LATE)
    RAN.clear()
    rebuilt = again(exc)
    assert RAN == []
    assert (rebuilt.order, rebuilt.reason) == (Order(1), Reason.LATE)
    assert not hasattr(rebuilt, "held")


def test_an_argument_that_cannot_be_stored_leaves_the_text():
    rebuilt = again(ValueError(object))
    assert type(rebuilt) is ValueError
    assert str(rebuilt) == str(object)


def test_a_group_comes_back_with_its_members_and_notes():
    group = ExceptionGroup("several", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])])
    group.add_note("seen in March")
    rebuilt = again(group)
    assert type(rebuilt) is ExceptionGroup
    assert repr(rebuilt) == repr(group)
    assert rebuilt.__notes__ == ["seen in March"]


@pytest.mark.parametrize("exc", [KeyboardInterrupt("x"), SystemExit(1), asyncio.CancelledError(), GeneratorExit()])
def test_what_is_no_exception_never_comes_back_as_itself(exc):
    rebuilt = again(exc)
    assert type(rebuilt) is OperationFailed
    assert type(exc).__name__ in str(rebuilt)


@pytest.mark.parametrize(
    "name", ["not_imported_anywhere:Boom", "os:system", "builtins:print", "builtins:object", "", "x", ":"]
)
def test_a_name_that_is_no_imported_exception_gives_operation_failed(name):
    rebuilt = Failure(type=name, message="text", traceback="", attributes="{}").to_exception()
    assert type(rebuilt) is OperationFailed
    assert "text" in str(rebuilt)
    assert "not_imported_anywhere" not in sys.modules


def test_a_stored_failure_raised_again_keeps_its_name():
    class Local(Exception):
        pass

    once = Failure.of(raised(Local("x")))
    assert Failure.of(raised(once.to_exception())) == once


def test_an_exception_whose_text_cannot_be_made_is_stored():
    failure = Failure.of(raised(Mute()))
    assert failure.type.endswith(":Mute")
    assert type(failure.to_exception()) is Mute


def test_a_huge_text_is_cut():
    failure = Failure.of(raised(ValueError("x" * 10_000_000)))
    assert len(failure.to_json()) < 100_000
    assert "10,000,000 characters" in failure.message


def test_texts_are_storable_anywhere():
    failure = Failure.of(raised(ValueError("\ud800\0")))
    for text in (failure.message, failure.traceback, failure.to_json()):
        assert "\0" not in text.encode().decode()


def test_causes_are_kept_and_a_loop_of_causes_ends():
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    rebuilt = again(first)
    assert repr(rebuilt.__cause__) == "KeyError('second')"
    assert rebuilt.__cause__.__cause__ is None


def test_a_suppressed_context_is_no_cause():
    exc = ValueError("x")
    exc.__context__ = KeyError("k")
    assert Failure.of(exc).cause.type == "builtins:KeyError"
    exc.__suppress_context__ = True
    assert Failure.of(exc).cause is None


def test_a_traceback_starts_at_the_users_frames(tmp_path):
    inside = compile("def call(f):\n    f()\n", str(Failure.of.__func__.__code__.co_filename), "exec")
    names: dict[str, Any] = {}
    exec(inside, names)

    def theirs():
        raise ValueError("here")

    try:
        names["call"](theirs)
    except ValueError as exc:
        own = Failure.of(exc.with_traceback(exc.__traceback__.tb_next))
    assert "in theirs" in own.traceback
    assert "in call" not in own.traceback
    assert own.traceback.endswith("ValueError: here")


def test_what_is_caught_live_is_what_is_caught_on_replay():
    exc = raised(Refused(order=Order(1), reason=Reason.LATE))
    live = same_in_replay(Failure.of(exc), exc)
    replayed = Failure.from_json(Failure.of(exc).to_json()).to_exception()
    assert live.__cause__ is exc
    assert (type(live), live.args, vars(live)) == (type(replayed), replayed.args, vars(replayed))


@pytest.mark.parametrize("text", ["{}", "[]", "nope", '{"type":1}'])
def test_a_text_that_is_no_failure_is_refused(text):
    with pytest.raises(UndecodablePayload):
        Failure.from_json(text)
