"""Webhooks as they are declared: what can work, what is said loudly, and what is refused before anything is served."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agentflow import Secret, task
from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.limits import Rate
from agentflow.tasks.webhook import Webhook, webhook
from agentflow.verifiers import github, hmac_sha256, standard, unverified

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@task
async def order(number: int) -> None: ...


def test_a_webhook_names_its_task_by_the_task_or_its_id() -> None:
    assert Webhook("/orders", task=order).task == Webhook("/orders", task="order").task == "order"
    with pytest.raises(DefinitionError, match="starts 3; wanted a task, or the id of one"):
        Webhook("/orders", task=3)  # type: ignore[arg-type]


def test_a_decorated_task_has_its_webhooks() -> None:
    @task.webhook("/one", verify=standard(SECRET), rate="50/s")
    @task.webhook("/two", verify=unverified(), max_body=100)
    @task
    async def pay(amount: int) -> None: ...

    assert [(one.path, one.task, one.max_body) for one in pay.webhooks] == [
        ("/two", "pay", 100),
        ("/one", "pay", 2**20),
    ]
    assert pay.webhooks[1].rate == Rate(50, timedelta(seconds=1))
    with pytest.raises(DefinitionError, match="two webhooks on /one"):
        webhook("/one")(pay)


def test_the_decorator_under_the_task_decorator_says_to_put_it_above() -> None:
    async def pay(amount: int) -> None: ...

    with pytest.raises(DefinitionError, match="pay, which is no task; put it above @task"):
        webhook("/orders")(pay)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("orders", "/orders"),
        ("/", "/orders"),
        ("", "/orders"),
        ("/a//b", "/a/b"),
        ("/a/", "/a"),
        ("/a/../b", "/a/b"),
        ("/.", "/orders"),
        ("/a b", "/a/b"),
        ("/ä", "/orders"),
        ("/a?b", "/a/b"),
        ("/a%2Fb", "/a/2Fb"),
        ("/a\n", "/a"),
        ("/" + "a" * 200, "/aaa"),
        (None, "/None"),
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused_with_the_nearest_that_cannot(path: str, nearest: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Webhook(path, task=order)
    assert f"as in '{nearest}" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"verify": SECRET}, "verify= is of type str; wanted a verifier"),
        ({"verify": github}, "verify= is of type function"),
        ({"rate": "fast"}, "rate: found 'fast'"),
        ({"rate": "20000/h"}, "at most 10,000 are counted"),
        ({"max_body": 0}, "max_body=0: wanted a whole number from 1 to 16,777,216"),
        ({"max_body": True}, "max_body=True"),
        ({"max_body": "1MiB"}, "max_body='1MiB'"),
        ({"max_depth": 201}, "max_depth=201: wanted a whole number from 1 to 200"),
        ({"input": 3}, "input= of webhook /orders is 3"),
        ({"where": lambda: True}, "where= of webhook /orders takes ()"),
        ({"where": lambda _a, _b, _c: True}, "where= of webhook /orders takes (_a, _b, _c)"),
    ],
)
def test_an_option_that_cannot_work_is_refused_where_it_is_written(options: dict[str, object], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Webhook("/orders", task=order, **options)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_without_a_verifier_it_is_served_to_developers_only() -> None:
    hook = Webhook("/orders", task=order)
    hook.require_ready(dev=True)
    with pytest.raises(InvalidSetting, match="has no verify=, so anybody could start 'order'"):
        hook.require_ready(dev=False)


def test_what_verifies_nothing_is_said_loudly() -> None:
    assert "whoever reaches it can start 'order'" in Webhook("/orders", task=order).caution
    assert "is unverified()" in Webhook("/orders", task=order, verify=unverified()).caution
    assert Webhook("/orders", task=order, verify=standard(SECRET)).caution == ""
    Webhook("/orders", task=order, verify=unverified()).require_ready(dev=False)


def test_a_secret_that_is_missing_is_named_at_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = Webhook("/orders", task=order, verify=standard([SECRET, Secret.env("ORDERS_SECRET")]))
    for wrong, said in ((None, "ORDERS_SECRET is not set"), ("", "ORDERS_SECRET is empty"), ("abc", "this one has 2")):
        monkeypatch.delenv("ORDERS_SECRET", raising=False)
        if wrong is not None:
            monkeypatch.setenv("ORDERS_SECRET", wrong)
        with pytest.raises(InvalidSetting, match=f"webhook /orders: .*{said}"):
            hook.require_ready(dev=True)
    monkeypatch.setenv("ORDERS_SECRET", SECRET)
    hook.require_ready(dev=False)


def test_an_annotation_that_names_nothing_is_refused_at_start_up() -> None:
    def wanted(payload: Nowhere) -> bool:  # type: ignore[name-defined]  # noqa: F821  which is the point
        return True

    with pytest.raises(DefinitionError, match="Nowhere"):
        Webhook("/orders", task=order, verify=unverified(), where=wanted).require_ready(dev=False)


def test_a_webhook_never_shows_its_secret() -> None:
    hook = Webhook(
        "/orders", task=order, verify=hmac_sha256("a canary", header="X-Sign", verify_token="another canary")
    )
    assert "canary" not in repr(hook) + str(hook) + hook.caution
