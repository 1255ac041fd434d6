"""With --dev pages are for this machine only, and an address that is taken is said to be."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from agentflow.cli.addresses import DEV, address_of, bound, is_loopback
from agentflow.cli.exits import ExitCode, Refused


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_in_use_is_refused_with_the_remedy(taken: int) -> None:
    with pytest.raises(Refused, match=f"port {taken} of 127.0.0.1 is in use; .* --port {taken + 1}") as refused:
        bound("127.0.0.1", taken, dev=True)
    assert refused.value.code is ExitCode.UNUSABLE


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_a_host_others_can_reach_is_refused_where_nobody_has_to_sign_in(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(Refused, match=DEV) as refused:
        bound(host, 0, dev=True)
    assert refused.value.code is ExitCode.BAD_INPUT


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_loopback_is_for_this_machine(host: str) -> None:
    assert is_loopback(host)


def test_where_people_sign_in_others_may_reach_it() -> None:
    with bound("0.0.0.0", 0, dev=False) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_port_0_takes_a_free_one_and_the_address_names_it() -> None:
    with bound("127.0.0.1", 0, dev=True) as listener:
        port = listener.getsockname()[1]
        assert port
        assert address_of(listener) == f"http://127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port), timeout=60):
            pass


def test_an_address_of_another_machine_is_said_to_be_none_of_this_one() -> None:
    with pytest.raises(Refused, match=r"192\.0\.2\.1:0 cannot be listened on") as refused:
        bound("192.0.2.1", 0, dev=False)
    assert refused.value.code is ExitCode.UNUSABLE
