"""A catalog has what a module defines: its tasks, and whatever beside them starts them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from agentflow import Listener, Schedule, Webhook, task
from agentflow.errors import DefinitionError, TaskNotFound
from agentflow.tasks.catalog import Catalog
from agentflow.verifiers import github

SECRET = "it's a secret to everybody"


@task.schedule("0 9 * * *")
@task.webhook("/reports", verify=github(SECRET))
@task.on("invoice.*")
@task
async def report(invoice: str = "") -> str:
    return invoice


def module(**values: Any) -> ModuleType:
    made = ModuleType("tasks")
    vars(made).update(values)
    return made


def test_what_is_declared_above_a_task_is_in_its_catalog() -> None:
    catalog = Catalog.collect(report)
    assert [one.rule for one in catalog.schedules] == ["0 9 * * *"]
    assert list(catalog.webhooks) == ["/reports"]
    assert [one.pattern for one in catalog.listeners] == ["invoice.*"]


def test_what_is_declared_beside_a_task_is_in_the_catalog_of_its_module() -> None:
    beside = module(
        report=report,
        evening=Schedule(report, "0 18 * * *"),
        hook=Webhook("/others", task="report", verify=github(SECRET)),
        orders=Listener("order.placed", task=report),
    )
    catalog = Catalog.collect(beside)
    assert [one.rule for one in catalog.schedules] == ["0 9 * * *", "0 18 * * *"]
    assert sorted(catalog.webhooks) == ["/others", "/reports"]
    assert [one.pattern for one in catalog.listeners] == ["invoice.*", "order.placed"]


def test_a_name_imported_into_a_second_module_declares_nothing_twice() -> None:
    evening = Schedule(report, "0 18 * * *")
    catalog = Catalog.collect(module(report=report, evening=evening), module(report=report, evening=evening))
    assert len(catalog.schedules) == 2


def test_what_starts_a_task_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(TaskNotFound, match="did you mean 'report'"):
        Catalog.collect(report, Schedule("raport", "0 18 * * *"))


def test_two_webhooks_on_one_path_are_refused() -> None:
    catalog = Catalog.collect(report, Webhook("/reports", task=report, verify=github(SECRET)))
    with pytest.raises(DefinitionError, match="two webhooks listen on /reports"):
        _ = catalog.webhooks


def test_two_listeners_of_one_id_are_refused() -> None:
    catalog = Catalog.collect(report, Listener("a.b", task=report, id="x"), Listener("a.c", task=report, id="x"))
    with pytest.raises(DefinitionError, match="two listeners have the id 'x'"):
        _ = catalog.listeners


def test_what_is_no_definition_is_refused() -> None:
    with pytest.raises(DefinitionError, match="is no task, nothing that starts one, and no module"):
        Catalog.collect("report")
