"""Which URLs name a server; what is wrong with those that do not; and that none of it tells a password."""

from __future__ import annotations

import sys

import pytest

from agentflow.errors import InvalidSetting
from agentflow.settings import shown_url
from agentflow.store import open_store
from agentflow.store.postgres.sentences import explain
from agentflow.store.postgres.server import connect, is_postgres, parameters
from agentflow.store.sqlite.file import path_of

PASSWORD = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://mia:s3cr3t@db/runs", "postgresql://mia:…@db/runs"),
        ("postgresql://mia:s3cr3t@db:5432/runs?sslmode=require", "postgresql://mia:…@db:5432/runs?sslmode=require"),
        ("postgresql://mia:s3c@r3t/s3?c#r3t@db/runs", "postgresql://mia:…@db/runs"),
        ("postgresql://:s3cr3t@db/runs", "postgresql://:…@db/runs"),
        ("postgresql://mia@db:5432/runs", "postgresql://mia@db:5432/runs"),
        ("postgresql://db:5432/runs", "postgresql://db:5432/runs"),
        ("postgresql:///runs?user=mia&password=s3cr3t&host=/run", "postgresql:///runs?user=mia&password=…&host=/run"),
        ("postgresql:///runs?pass%77ord=s3cr3t", "postgresql:///runs?pass%77ord=…"),
        ("postgresql:///runs?PASSWORD=s3cr3t&sslpassword=s3cr3t", "postgresql:///runs?PASSWORD=…&sslpassword=…"),
        ("host=db password=s3cr3t user=mia", "host=db password=… user=mia"),
        (r"host=db password = 's3 \' cr3t' user=mia", "host=db password = … user=mia"),
        ("sqlite:////data/a:b@c.db", "sqlite:////data/a:b@c.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown_url(url) == shown


MALFORMED = {
    "postgresql://mia:s3cr3t%zz@db/runs": "a % is not followed by two hexadecimal digits",
    "postgresql://mia:s3cr3t@db:abc/runs": "its port is no number",
    "postgresql://mia:s3cr3t@db:99999/runs": "its port is no number from 1 to 65535",
    "postgresql://mia:s3cr3t/x@db/runs": "its port is no number",
    "postgresql://mia:s3cr3t@x@db/runs": "its host has a character no host has",
    "postgresql://mia:s3cr3t@db#1/runs": "its host has a character no host has",
    "postgresql://mia:s3cr3t@[::1/runs": "an address in [ ] is not closed",
    "postgresql://mia:s3cr3t@db/runs?sslmod=require": "there is no parameter 'sslmod'; did you mean sslmode?",
    "postgresql://mia:s3cr3t@db/runs?colour=red": "there is no parameter 'colour'",
    "postgresql://mia:s3cr3t@db/runs?options=-c a=b": "its value has a = not written as %3D",
    "postgresql://mia:s3cr3t@127.0.0.1:1/runs?sslmode=perhaps": 'invalid sslmode value: "perhaps"',
    "postgresql://mia:s3cr3t@127.0.0.1:1/runs?tcp_user_timeout=soon": 'invalid integer value "soon"',
}


@pytest.mark.parametrize(("url", "reason"), MALFORMED.items())
async def test_a_malformed_url_is_refused_with_the_reason_and_the_form_wanted(url: str, reason: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        await open_store(url)

    said = str(refused.value)
    assert reason in said
    assert "wanted postgresql://user:password@host:port/name" in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:s3cr3t@db/runs",
        "postgresq://u:s3cr3t@db/runs",
        "host=db password=s3cr3t",
        "mysql://db/x",
    ],
)
def test_a_url_of_no_database_we_know_is_refused_without_its_password(url: str) -> None:
    assert not is_postgres(url)
    with pytest.raises(InvalidSetting, match=r"sqlite:///name\.db.*postgresql://") as refused:
        path_of(url)
    assert PASSWORD not in str(refused.value)


def test_both_spellings_of_the_scheme_are_known() -> None:
    assert is_postgres("postgresql://db/runs")
    assert is_postgres("postgres://db/runs")
    assert parameters("postgres://mia@db:6432/runs") == {"user": "mia", "host": "db", "port": "6432", "dbname": "runs"}


def test_without_the_driver_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InvalidSetting, match=r"needs the driver psycopg.*pip install 'agentflow\[postgres\]'"):
        connect("postgresql://db/runs")


def test_what_is_not_known_is_told_in_the_drivers_words_without_the_password() -> None:
    error = RuntimeError('the "s3cr3t" of\n\tmia is of the wrong colour')
    assert explain("postgresql://mia:s3cr3t@db/runs", error) == (
        'database postgresql://mia:…@db/runs cannot be used: the "…" of mia is of the wrong colour'
    )
