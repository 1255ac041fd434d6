"""The distributions installed in the running environment, and what came with them."""

from __future__ import annotations

import hashlib
import re
from importlib import metadata
from typing import TYPE_CHECKING, Final

from agentflow.demo.findings import Distribution, Metadata, NoAnswer

if TYPE_CHECKING:
    from pathlib import PurePosixPath

LONGEST_FILE: Final = 200_000
_LICENCE_NAME: Final = re.compile(r"(?:.+[._-])?(?:UN)?LICEN[CS]E|COPYING", re.IGNORECASE)
_METADATA_FOLDER: Final = re.compile(r"[^/]+\.(?:dist|egg)-info")
_DEPTH: Final = 3  # name.dist-info/licenses/LICENSE; what lies deeper belongs to vendored code


def installed() -> list[Distribution]:
    """Every distribution the running Python would import, by name; the first one found where a name occurs twice."""
    found: dict[str, Distribution] = {}
    for one in metadata.distributions():
        name = one.metadata["Name"]
        if name:
            found.setdefault(_normal(name), Distribution(name=name, version=one.version or ""))
    return [found[name] for name in sorted(found)]


def digest_of(distributions: list[Distribution]) -> str:
    """A short text that differs when a distribution or a version does."""
    lines = "\n".join(f"{one.name}=={one.version}" for one in distributions)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def metadata_of(distribution: Distribution) -> Metadata:
    """What this distribution says about its licence. Raises `NoAnswer` if it is no longer installed."""
    found = _installed(distribution)
    headers = found.metadata
    files = [path.as_posix() for path in found.files or () if _is_licence_file(path)]
    folder = next((path.parts[0] for path in found.files or () if _METADATA_FOLDER.fullmatch(path.parts[0])), "")
    return Metadata(
        distribution=distribution,
        document=f"{folder}/METADATA" if folder else "METADATA",
        expression=_header(headers["License-Expression"]),
        licence=_header(headers["License"]),
        classifiers=headers.get_all("Classifier") or [],
        files=sorted(files),
    )


def read_licence_file(distribution: Distribution, path: str) -> str:
    """The text of a file that came with the distribution, cut at 200,000 characters. Raises `NoAnswer`."""
    located = _installed(distribution).locate_file(path)
    try:
        with open(str(located), encoding="utf-8", errors="replace") as file:  # noqa: PTH123  a SimplePath need be no Path
            return file.read(LONGEST_FILE)
    except OSError as error:
        raise NoAnswer(f"{path} cannot be read: {error.strerror}") from error


def _installed(distribution: Distribution) -> metadata.Distribution:
    try:
        return metadata.distribution(distribution.name)
    except metadata.PackageNotFoundError as error:
        raise NoAnswer(f"{distribution.name} is no longer installed") from error


def _is_licence_file(path: PurePosixPath) -> bool:
    """A licence file of the distribution itself, in its metadata folder."""
    if not _METADATA_FOLDER.fullmatch(path.parts[0]) or len(path.parts) > _DEPTH:
        return False
    return path.suffix not in (".py", ".pyc") and _LICENCE_NAME.match(path.name) is not None


def _header(value: str | None) -> str:
    text = (value or "").strip()
    return "" if text.upper() == "UNKNOWN" else text


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
