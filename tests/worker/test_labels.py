"""Which worker takes which run: the labels a task needs, the queues and tasks a worker is for, and what `why` says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentflow import AgentFlow, Queue, task
from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.labels import labels, missing
from agentflow.settings import WorkerSettings
from agentflow.tasks.catalog import Catalog


@task(needs="gpu")
async def train() -> str:
    return "trained"


@task(needs=["gpu", "region=eu"])
async def train_at_home() -> str:
    return "trained at home"


@task
async def plain() -> str:
    return "done"


@task(queue=Queue("slow", concurrency=1))
async def slow() -> str:
    return "slowly"


EVERY = (train, train_at_home, plain, slow)


def worker(database: str, *definitions: Any, **settings: Any) -> AgentFlow:
    return AgentFlow(*(definitions or EVERY), database=database, settings=WorkerSettings(**settings))


def outside(database: str) -> AgentFlow:
    return AgentFlow(*EVERY, database=database, worker=False)


# -- words


@pytest.mark.parametrize(
    ("needs", "has", "lacking"),
    [
        (["gpu"], ["gpu"], ()),
        (["gpu"], [], ("gpu",)),
        (["gpu"], ["gpu=a100"], ()),
        (["gpu=a100"], ["gpu"], ("gpu=a100",)),
        (["region=eu"], ["region=us"], ("region=eu",)),
        (["region=eu"], ["region=us", "region=eu"], ()),
        (["gpu", "region=eu"], ["region=eu"], ("gpu",)),
        (["gp"], ["gpu"], ("gp",)),
        ([], ["gpu"], ()),
    ],
)
def test_a_need_is_met_by_the_same_label_and_one_without_a_value_by_any_value(
    needs: list[str], has: list[str], lacking: tuple[str, ...]
) -> None:
    assert missing(needs, has) == lacking


@pytest.mark.parametrize("bad", ["", " gpu", "2gpu", "region=", "a=b=c", "größe", "gpu,cpu", "x" * 64, "a b", "a=\n"])
def test_a_label_that_is_none_is_refused_where_it_is_written(bad: str) -> None:
    with pytest.raises(InvalidSetting, match="for a label; wanted a name such as"):
        WorkerSettings(labels=(bad,))
    with pytest.raises(DefinitionError, match=r"task 'careless', needs=: found .* for a label"):

        @task(needs=[bad])
        async def careless() -> None: ...


@pytest.mark.parametrize("bad", [7, None, {"gpu": True}, [1], object()])
def test_needs_that_are_no_texts_are_refused(bad: Any) -> None:
    with pytest.raises(DefinitionError, match="task 'careless', needs="):

        @task(needs=bad)
        async def careless() -> None: ...


def test_labels_are_kept_once_and_in_order() -> None:
    assert labels(["b", "a", "b"]) == ("a", "b")
    assert WorkerSettings(labels=("b", "a")).labels == ("a", "b")
    assert train_at_home.needs == ("gpu", "region=eu")
    assert train.needs == ("gpu",)


# -- what a catalog offers


def version(number: str, needs: Any, on_new: Any = "carry") -> Any:
    @task(id="of_many", version=number, needs=needs, on_new_version=on_new)
    async def one() -> None: ...

    return one


def test_a_worker_takes_what_its_labels_meet_and_says_what_it_lacks() -> None:
    catalog = Catalog.collect(*EVERY)
    assert catalog.claimable().tasks == ["plain", "slow"]
    assert catalog.lacks() == {"train@*": ["gpu"], "train_at_home@*": ["gpu", "region=eu"]}
    assert catalog.claimable(["gpu"]).tasks == ["plain", "slow", "train"]
    assert catalog.lacks(["gpu"]) == {"train_at_home@*": ["region=eu"]}
    assert catalog.claimable(["gpu", "region=eu"]).tasks == ["plain", "slow", "train", "train_at_home"]
    assert catalog.claimable(["gpu"], ["train", "train_at_home"]).tasks == ["train"]
    assert catalog.lacks(["region=eu"], ["train_at_home"]) == {"train_at_home@*": ["gpu"]}
    assert set(catalog.served(["gpu"], ["train"])) == {"train@1", "train@*"}


def test_a_task_that_takes_over_older_runs_needs_what_each_of_its_versions_needs() -> None:
    catalog = Catalog.collect(version("1", "gpu"), version("2", "cpu"))
    assert catalog.claimable(["cpu"]) == ([], [])
    assert catalog.claimable(["cpu", "gpu"]) == (["of_many"], [])


def test_of_pinned_versions_each_needs_its_own() -> None:
    catalog = Catalog.collect(version("1", "gpu", "pin"), version("2", "cpu", "pin"))
    assert catalog.claimable(["cpu"]) == ([], [("of_many", "2")])
    assert catalog.lacks(["cpu"]) == {"of_many@1": ["gpu"]}


# -- what becomes of runs


async def test_a_run_waits_for_a_worker_with_its_labels_and_why_says_which(database: str) -> None:
    async with outside(database) as app, worker(database, labels=("region=eu",)):
        run = await app.client.trigger(train_at_home)
        other = await app.client.trigger(plain)
        await app.client.result(other.id, timeout="60s")
        assert await app.client.why(run.id) == (
            "no worker that is alive has label 'gpu', which task 'train_at_home' needs; start one with `agentflow "
            "worker` and `--label gpu`"
        )
        async with worker(database, labels=("gpu",)):
            assert "no worker" not in await app.client.why((await app.client.trigger(train)).id)
            said = await app.client.why(run.id)
            assert said.startswith(
                "the nearest of the workers alive lacks label 'gpu', which task 'train_at_home' needs"
            )
        async with worker(database, labels=("gpu", "region=eu")):
            ended = await app.client.result(run.id, timeout="60s")
    assert ended.output == '"trained at home"'
    assert ended.epoch == 1, "nobody else had taken it"


async def test_what_a_worker_has_and_lacks_is_recorded(database: str) -> None:
    async with outside(database) as app, worker(database, labels=("region=eu", "big"), queues=("slow",)):
        [one] = await app.client.workers()
    assert one.labels == '["big", "region=eu"]'
    assert one.lacks == '{"train@*": ["gpu"], "train_at_home@*": ["gpu"]}'
    assert one.queues == '["slow"]'
    assert one.draining_at is None


async def test_a_worker_for_some_queues_leaves_the_others(database: str) -> None:
    async with outside(database) as app:
        left, taken = await app.client.trigger(plain), await app.client.trigger(slow)
        async with worker(database, queues=("slow",)):
            await app.client.result(taken.id, timeout="60s")
            said = await app.client.why(left.id)
            assert said.startswith("no worker that is alive takes runs of queue 'default'; start one with")
        async with worker(database, queues=("default",)):
            await app.client.result(left.id, timeout="60s")


async def test_a_worker_for_some_tasks_leaves_the_others(database: str) -> None:
    async with outside(database) as app:
        left, taken = await app.client.trigger(plain), await app.client.trigger(slow)
        async with worker(database, tasks=("slow",)):
            await app.client.result(taken.id, timeout="60s")
            assert "no worker that is alive knows task 'plain'" in await app.client.why(left.id)
        async with worker(database, tasks=("plain",)):
            await app.client.result(left.id, timeout="60s")


async def test_a_worker_that_does_not_know_a_task_or_its_version_leaves_its_runs_to_others(database: str) -> None:
    old, new = version("1", (), "pin"), version("2", (), "pin")
    async with AgentFlow(old, plain, database=database, worker=False) as app:
        unknown, older = await app.client.trigger(plain), await app.client.trigger(old)
        async with worker(database, new):
            newer = await app.client.trigger(new)
            await app.client.result(newer.id, timeout="60s")
            assert "no worker that is alive knows task 'plain' (version 1)" in await app.client.why(unknown.id)
            assert "knows task 'of_many' (version 1); the workers alive know of_many@2" in (
                await app.client.why(older.id)
            )
            assert [(await app.client.run(one.id)).epoch for one in (unknown, older)] == [0, 0]
        async with worker(database, old, plain):
            for one in (unknown, older):
                assert (await app.client.result(one.id, timeout="60s")).epoch == 1


async def test_a_worker_that_is_draining_is_not_counted_on(database: str) -> None:
    async with outside(database) as app:
        run = await app.client.trigger(plain)
        one = await app.store.register_worker(
            host="elsewhere", pid=1, started="", lease_for=timedelta(minutes=1), tasks=["plain@*"]
        )
        assert "next in queue 'default'" in await app.client.why(run.id)
        await app.store.drain_worker(one.id)
        await app.store.drain_worker(one.id)
        [drained] = await app.client.workers()
        assert drained.draining_at is not None
        assert drained.lease_until == one.lease_until
        assert "no worker is running" in await app.client.why(run.id)


async def test_a_harness_has_every_label_its_tasks_need(tmp_path: Path) -> None:
    from agentflow.testing import Harness

    async with Harness(*EVERY, path=tmp_path / "kit.db") as h:
        assert await h.run(train_at_home) == "trained at home"
