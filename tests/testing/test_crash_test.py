"""The crash test: what it does to a run, and that a task which keeps the rules passes."""

from __future__ import annotations

import pytest

from agentflow import Fatal, Retry, gather, now, sleep, step, task, uuid4, wait_for_approval
from agentflow.errors import DefinitionError, Rejected
from agentflow.testing import CrashReport, Effects, Reviewer, Scripted, crash_test

effects = Effects()
ask = Scripted("ask", ["yes", RuntimeError("429"), "no"])


@step
async def charge(amount: int) -> str:
    effects.record("charge")
    return f"receipt for {amount}"


@step
async def post(text: str) -> str:
    effects.record("post")
    return text.upper()


@task
async def pay(amount: int) -> str:
    receipt = await charge(amount)
    decision = await wait_for_approval({"receipt": receipt}, title=f"Post {receipt}", key="gate", timeout="3d")
    if not decision.approved:
        raise Rejected(decision.comment)
    return await post(receipt)


@task
async def pay_children(amounts: list[int]) -> list[str]:
    handles = await pay.batch_trigger([(amount,) for amount in amounts])
    return [await handle for handle in handles]


@task(retry=Retry(max_attempts=3, min_delay="1h"))
async def stubborn() -> list[str]:
    return [await ask("first"), await ask("second")]


@step(retry=Retry(max_attempts=2, min_delay="10m"))
async def flaky(text: str) -> str:
    effects.record(text)
    return await ask(text)


async def asking(name: str) -> str:
    decision = await wait_for_approval({"name": name}, key=name)
    effects.record(f"heard {name}")
    return f"{name} {decision.outcome}"


@task
async def side_by_side() -> list[str]:
    return list(await gather(asking("left"), asking("right"), post("middle")))


@task
async def dawdling() -> int:
    before = await now()
    await sleep("3d")
    await sleep("500ms")
    await post("done")
    return ((await now()) - before).days


def said(report: CrashReport, kind: str) -> list[str]:
    return [scenario.said for scenario in report.scenarios if scenario.kind == kind]


async def test_every_write_of_a_run_is_its_worker_s_last_in_three_places() -> None:
    report = await crash_test(pay, 5, reviewer=Reviewer().approve(key="gate"), effects=effects, expect="RECEIPT FOR 5")
    writes = ["append (succeeded charge#1)", "park", "append (succeeded post#1)", "finish"]
    numbers = [2, 3, 5, 6]
    assert [one for one in said(report, "kill")[:-1] if "claim" not in one] == [
        f"killed {place} write {number} ({write})"
        for number, write in zip(numbers, writes, strict=True)
        for place in ("before", "inside", "after")
    ]
    assert [one for one in said(report, "kill") if "claim" in one] == [
        "killed after write 1 (claim)",
        "killed after write 4 (claim)",
    ]
    assert said(report, "kill")[-1] == "killed after every write, and every worker after it too"
    assert report.count("kill") == 15
    assert report.kills == 14 + len(writes), "the last scenario has a death for each write but the claims"
    assert report.result == "RECEIPT FOR 5"
    assert "21 scenarios" in str(report)


async def test_every_wait_is_answered_early_late_and_twice() -> None:
    report = await crash_test(pay, 5, reviewer=Reviewer().approve(key="gate"), effects=effects)
    assert said(report, "wait") == [f"approval gate#1 of pay answered {when}" for when in ("early", "late", "twice")]
    assert len(said(report, "duplicate")) == 2
    assert len(said(report, "replay")) == 1


async def test_a_task_may_end_in_an_error_as_long_as_it_is_the_same_one() -> None:
    report = await crash_test(pay, 5, reviewer=Reviewer().reject(comment="no budget"), effects=effects)
    assert report.result is None
    with pytest.raises(AssertionError, match=r"undisturbed it ended failed with .*Rejected: no budget, and not 'x'"):
        await crash_test(pay, 5, reviewer=Reviewer().reject(comment="no budget"), effects=effects, expect="x")


async def test_children_and_their_approvals_are_part_of_it() -> None:
    reviewer = Reviewer().correct({"receipt": "none"}, title="*for 1", times=1).approve(task="pay")
    report = await crash_test(pay_children, [1, 2], definitions=[pay], reviewer=reviewer, effects=effects)
    assert report.result == ["RECEIPT FOR 1", "RECEIPT FOR 2"]
    assert "killed before write 2 (trigger_child (succeeded pay.trigger#1))" in said(report, "kill")


async def test_retries_of_tasks_and_steps_are_waited_out_and_scripts_start_over() -> None:
    report = await crash_test(stubborn, scripts=[ask], expect=["yes", "no"])
    assert any("finish" in one for one in said(report, "kill"))


async def test_an_effect_of_an_attempt_that_failed_counts_as_that_attempt_s() -> None:
    @task
    async def trying() -> str:
        return await flaky("first") + await flaky("second")

    report = await crash_test(trying, scripts=[ask], effects=effects, expect="yesno")
    assert said(report, "wait") == [f"retry flaky#2 of trying answered {when}" for when in ("early", "late")]
    assert effects.count("second") == 2


async def test_branches_may_be_asked_about_while_others_are_at_work() -> None:
    reviewer = Reviewer().approve(key="left").reject(key="right")
    report = await crash_test(side_by_side, reviewer=reviewer, effects=effects)
    assert report.result == ["left approved", "right rejected", "MIDDLE"]
    assert len(said(report, "wait")) == 6


async def test_a_result_that_depends_on_the_time_may_differ_only_where_time_was_the_disturbance() -> None:
    report = await crash_test(dawdling, effects=effects, expect=3)
    assert said(report, "wait") == [f"timer sleep#1 of dawdling answered {when}" for when in ("early", "late")]


async def test_a_step_that_runs_at_most_once_may_stop_the_run_where_it_was_cut_off_but_not_run_again() -> None:
    @step(effect="at_most_once")
    async def launch() -> str:
        effects.record("launch")
        return "launched"

    @task
    async def launching() -> str:
        return await post(await launch())

    report = await crash_test(launching, effects=effects, expect="LAUNCHED")
    assert any("append (started launch#1)" in one for one in said(report, "kill"))


async def test_what_may_differ_in_a_result_can_be_left_out() -> None:
    @task
    async def labelled() -> dict[str, str]:
        await post("one")
        return {"id": str(await uuid4()), "text": await post("two")}

    with pytest.raises(AssertionError, match=r"crash test of .*labelled, .*: it returned .*; undisturbed it returned"):
        await crash_test(labelled, effects=effects)
    report = await crash_test(labelled, effects=effects, same=lambda result: result["text"])
    assert report.result == "TWO"


async def test_arguments_that_change_on_replay_are_named() -> None:
    reading = iter(range(10_000))

    @task
    async def stamped() -> str:
        await post(f"at {next(reading)}")
        return await post("done")

    report = await crash_test(stamped, effects=effects)
    assert report.changed_inputs == ["post#1"]


async def test_an_approval_needs_a_reviewer_and_one_who_was_not_asked_objects() -> None:
    with pytest.raises(AssertionError, match=r"gate#1 asks for approval: give the crash test a reviewer="):
        await crash_test(pay, 5, effects=effects)
    with pytest.raises(AssertionError, match=r"the reviewer was not asked .* approve\(key='other'\)"):
        await crash_test(pay, 5, effects=effects, reviewer=Reviewer().approve(key="gate").approve(key="other"))


async def test_a_run_that_nothing_moves_on_says_why() -> None:
    @task
    async def left_alone() -> str:
        return (await wait_for_approval(1, key="gate")).outcome

    with pytest.raises(AssertionError, match=r"undisturbed: nothing moves the run on: waiting .*gate#1"):
        await crash_test(left_alone, reviewer=Reviewer().leave())


async def test_a_script_that_is_too_short_ends_the_test() -> None:
    short = Scripted("short", ["one"])

    @task
    async def greedy() -> list[str]:
        answers = [await short()]
        try:
            answers.append(await short())
        except Fatal:
            answers.append("nothing")
        return answers

    with pytest.raises(AssertionError, match=r"short\(\) was called .* its script of 1 replies has ended"):
        await crash_test(greedy, scripts=[short])


async def test_a_script_of_one_text_is_refused() -> None:
    with pytest.raises(DefinitionError, match="give a list"):
        Scripted("ask", "yes")
