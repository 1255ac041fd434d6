"""What a PostgreSQL server's errors mean for the database a URL names: one sentence each, with what to do about it.

Errors are told apart by their SQLSTATE where they have one, since a server may speak any language; the driver's own,
of connections that never came about, have a text only.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from agentflow.settings import shown_url

shown: Final = shown_url
"""The URL without its passwords, for people and logs."""

_NO_SLOT: Final = "has no connection left; raise max_connections (or the pooler's limit), or run fewer processes"
_NOT_POSTGRES: Final = "is not on a PostgreSQL server: something else answers there; correct host and port in the URL"


def _when(signs: str, said: str) -> tuple[str, str]:
    return signs, said  # compiled when an error asks for it: a program that never meets one need not wait for that


_SAID: Final = (
    _when(
        r"^28P01|password authentication failed",
        "is refused to this user and password; correct them in the URL (in a password, write @ : / ? # % as "
        "%40 %3A %2F %3F %23 %25)",
    ),
    _when(
        r"no password supplied|fe_sendauth",
        "asks for a password and none was given; put it into the URL, into PGPASSWORD or into ~/.pgpass",
    ),
    _when(
        r'role "(?P<name>.*?)" does not exist',
        'is refused: the server has no user "{name}"; make it (`createuser`), or correct the URL',
    ),
    _when(
        r'database "(?P<name>.*?)" does not exist|no such database: (?P<other>\S+)|^3D000',
        'is not there: the server has no database "{name}"; make it (`createdb`), or correct the URL',
    ),
    _when(
        r"no pg_hba\.conf entry.*no encryption",
        "is not open to this user from here without TLS; add sslmode=require to the URL, or a line for this user "
        "to the server's pg_hba.conf",
    ),
    _when(
        r"no pg_hba\.conf entry|pg_hba\.conf rejects|^28000",
        "is not open to this user from here; add a line for it to the server's pg_hba.conf",
    ),
    _when(
        r"server does not support SSL",
        "is to be reached with TLS, which this server does not speak; turn on its ssl, or take sslmode out of the URL",
    ),
    _when(
        r"requires a valid client certificate",
        "is only open to holders of a client certificate; name yours with sslcert and sslkey in the URL",
    ),
    _when(
        r"certificate verify failed|does not match host name|certificate could not be obtained|"
        r"(root )?certificate file .* (does not exist|could not)|no SSL error reported|SSL error",
        "cannot be reached with TLS ({text}); name the authority that signed the server's certificate with "
        "sslrootcert, and the host as the certificate has it",
    ),
    _when(
        r"^25006|read-only|hot standby|recovery mode",
        "takes no writes: the server is a standby, or default_transaction_read_only is on; name the primary "
        "server, or turn that off",
    ),
    _when(
        r"^57P03|starting up|not yet accepting|not accepting connections",
        "is on a server that is only starting; try again in a moment",
    ),
    _when(
        r"^57P0[125]|shutting down|terminating connection|has been terminated",
        "is on a server that is being stopped; start it again",
    ),
    _when(r"^53300|too many (clients|connections)|connection slots|max_client_conn|query_wait_timeout", _NO_SLOT),
    _when(r"^53100|no space left|could not extend file", "is on a full disk; free some space on the server"),
    _when(r"^53200", "is on a server that is out of memory; give it more, or run fewer processes"),
    _when(r"connection timeout expired|timed out", "does not answer; is host and port right, and no firewall between?"),
    _when(r"connection refused", "is not there: nothing listens on this host and port; start it, or correct the URL"),
    _when(
        r"socket .* no such file or directory",
        "is not there: no server listens on this socket; start it, or name its host in the URL",
    ),
    _when(r"socket .* permission denied", "is closed to this user of the system, who may not use the server's socket"),
    _when(
        r"failed to resolve host|could not translate host name",
        "is on a host whose name is not known; correct the host in the URL",
    ),
    _when(
        r"network is unreachable|no route to host",
        "is on a host that cannot be reached from here; correct the URL, or the network",
    ),
    _when(r"response to SSL negotiation|expected authentication request|unsupported frontend protocol", _NOT_POSTGRES),
    _when(
        r"transaction blocks not allowed|statement pooling",
        "is behind a pooler in statement mode, in which there are no transactions; set its pool_mode to "
        "transaction, or name the server itself",
    ),
    _when(
        r"unsupported startup parameter",
        "is behind a pooler that takes no `options`; take them out of the URL and set them for the user instead "
        "(ALTER ROLE … SET …)",
    ),
    _when(
        r"^08|closed the connection|connection (reset|is closed|is lost)|broken pipe|EOF detected|has been closed",
        "hung up in the middle of a conversation; is the server being stopped, or is it no PostgreSQL at all?",
    ),
    _when(r"^57014|^25P03|^55P03", "took too long over one statement ({text}); what else is it doing?"),
    _when(
        r"^42501|permission denied|must be owner",
        "does not let this user do what is needed ({text}); grant it USAGE and CREATE on the schema, and make it "
        "the owner of agentflow's tables or grant it all on them and on their sequences",
    ),
    _when(
        r"^42P01|^42703|^42704|^3F000",
        "is not as this program left it ({text}); it was changed or dropped meanwhile: restore it from a backup, "
        "or start the program again",
    ),
    _when(r"^XX00[12]|^58", "is damaged, or its disk is ({text}); look into the server's log, and restore a backup"),
)

_WAY: Final = r"^connection (failed|is bad): |connection to server (at|on) .*? failed: |(FATAL|ERROR):\s+"
_SECRET: Final = re.compile(r"(?:(?<=://)[^:@/?]*:|password=)([^@&\s]+)")


def explain(url: str, error: BaseException) -> str:
    """One sentence for what a driver error means for this database, and what to do. No password is in it."""
    signs = f"{getattr(error, 'sqlstate', None) or ''} {' '.join(str(error).split())}"
    for pattern, said in _SAID:
        if found := re.search(pattern, signs, re.IGNORECASE):
            names = [name for name in found.groupdict().values() if name]
            return f"database {shown(url)} {said.format(name=(names or ['of this name'])[0], text=_words(url, error))}"
    return f"database {shown(url)} cannot be used: {_words(url, error)}"


def _words(url: str, error: BaseException) -> str:
    """What the server or the driver says, without the way there, or a password of the URL that it may quote."""
    said = re.split(r"\n(?:CONTEXT|LINE \d+|DETAIL|HINT|STATEMENT):", str(error))[0]
    text = " ".join(re.sub(_WAY, "", said).split()) or type(error).__name__
    for secret in _SECRET.findall(url):
        text = text.replace(secret, "…").replace(unquote(secret), "…")
    return text
