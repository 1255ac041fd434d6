"""Where pages are served: one socket, bound before anything else is started."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence

from agentflow.cli.exits import ExitCode, Refused

DEFAULT_PORT = 8321
DEV = "--dev"
MOST_PORTS = 65535


def bound(host: str, port: int, *, dev: bool) -> socket.socket:
    """A socket that listens at this address.

    Raises `Refused` if the address is in use or not this machine's, or is open to others and `dev` lets everybody in;
    nothing was started then.
    """
    if dev and not is_loopback(host):
        raise Refused(
            f"--host: found {host}, which other machines can reach, and with {DEV} nobody has to sign in; "
            f"wanted 127.0.0.1, or no {DEV}"
        )
    try:
        return _listening(host, port)
    except (socket.gaierror, UnicodeError):
        raise Refused(
            f"--host: found {host!r}, which is no address of this machine; wanted one, such as 127.0.0.1"
        ) from None
    except OSError as error:
        raise _refusal(error, host, port) from None


def health_listener(place: str | None) -> socket.socket | None:
    """A socket for probes at "HOST:PORT"; None where none is asked for. Raises `Refused`; nothing was started then.

    Any host will do: what is answered there says nothing of runs.
    """
    if not place:
        return None
    host, _, port = place.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= MOST_PORTS):
        raise Refused(f"--health: found {place!r}; wanted HOST:PORT, such as 127.0.0.1:8081")
    try:
        return _listening(host.strip("[]"), int(port))
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise Refused(
            f"--health: {place} cannot be listened on ({said}); choose another address", ExitCode.UNUSABLE
        ) from None


def _listening(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)  # uvicorn's own backlog
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names(host: str, given: Sequence[str] | None) -> tuple[str, ...]:
    """The names requests may call this machine by: those given, and for an open address the machine's own."""
    own = () if is_loopback(host) else (host.strip("[]"), socket.gethostname())
    return tuple(dict.fromkeys(name.lower() for name in (*(given or ()), *own)))


def address_of(listener: socket.socket) -> str:
    """The address to open in a browser."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared, not bound
    return f"http://{shown}:{port}"


def _refusal(error: OSError, host: str, port: int) -> Refused:
    if error.errno == errno.EADDRINUSE:
        remedy = f"stop what listens there, or choose another with --port {port + 1} (--port 0 takes any free one)"
        return Refused(f"port {port} of {host} is in use; {remedy}", ExitCode.UNUSABLE)
    if error.errno == errno.EACCES:
        return Refused(
            f"port {port} needs rights this user lacks; choose one above 1023 with --port", ExitCode.UNUSABLE
        )
    reason = error.strerror or str(error)
    return Refused(
        f"{host}:{port} cannot be listened on ({reason}); choose another with --host or --port", ExitCode.UNUSABLE
    )
