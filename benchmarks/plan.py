"""What is measured: which systems, with which workloads, of which size, and in how many of the rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RAW: Final = ("raw:sqlite", "raw:postgres")
OURS: Final = ("agentflow:sqlite", "agentflow:postgres")
ALWAYS: Final = 1_000
"""In every round."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One system with one workload: how much, and in how many rounds at most; `beside`: by the peers' harness."""

    system: str
    workload: str
    size: int
    rounds: int = ALWAYS
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """A workload of our own program: its usual size, one that only shows that it works, in how many rounds.

    `usual` is whether it is measured without being named, `seconds` after how long it has failed.
    """

    size: int
    small: int
    rounds: int = ALWAYS
    usual: bool = True
    seconds: int = 180


WORK: Final[Mapping[str, Work]] = {
    "raw": Work(3, 1),
    "W1": Work(1000, 150),
    "W2": Work(500, 50),
    "W2-two": Work(4000, 200, rounds=2),
    "W3": Work(200, 20),
    "W3-across": Work(200, 20),
    "W4": Work(500, 100),
    "W5": Work(100_000, 300, rounds=1, seconds=900),
    "W6": Work(20, 2, rounds=2),
    "replay": Work(1000, 100, rounds=1),
    "grown": Work(1_000_000, 5_000, rounds=1, usual=False, seconds=3000),
}
TRACED: Final = "W1-traced"
SMALL_BESIDE: Final = {"W1": 100, "W2": 40, "W3": 10, "W4": 100, "W5": 60, "W6": 2}

FAST: Final = {"W1": (1000, ALWAYS), "W2": (500, ALWAYS), "W3": (200, ALWAYS), "W4": (500, 2)}
AT_REST: Final = {"W5": (1000, 1), "W6": (10, 1)}
DECIDED_WITHIN: Final = {"W3": (200, ALWAYS)}
BESIDE: Final[Mapping[str, Mapping[str, tuple[int, int]]]] = {
    "agentflow:sqlite": {**FAST, **AT_REST},
    "agentflow:sqlite-serve": DECIDED_WITHIN,
    "agentflow:postgres": {**FAST, **AT_REST},
    "agentflow:postgres-serve": DECIDED_WITHIN,
    "langgraph:sqlite-loop": {**FAST, **AT_REST},
    "langgraph:postgres-loop": {"W1": (1000, 1), "W2": (500, 1), "W3": (200, 1)},
    "dbos:sqlite": {"W1": (1000, ALWAYS), "W2": (500, 1), "W3": (15, 1), "W4": (500, 1)},
    "dbos:postgres": {**FAST, **AT_REST},
    "absurd:postgres": {"W1": (1000, ALWAYS), **AT_REST},
    "absurd:postgres-tuned": {"W2": (500, ALWAYS), "W3": (200, ALWAYS), "W4": (500, 1)},
    "restate:server": {**FAST, **AT_REST},
    "restate:server-granian": {"W1": (1000, ALWAYS), "W2": (500, ALWAYS)},
    "temporal:dev-sqlite": {
        "W1": (200, 1),
        "W2": (100, 1),
        "W3": (50, 1),
        "W4": (100, 1),
        "W5": (300, 1),
        "W6": (10, 1),
    },
}
"""Size and rounds of every workload of every system in the peers' harness; slow ones have less of it, and fewer."""


def pieces(only: Sequence[str], *, small: bool, sizes: Mapping[str, int]) -> list[Piece]:
    """What to measure, each workload with all systems in turn. Raises `SystemExit` for a word that is none."""
    chosen = [piece for piece in everything(small=small, sizes=sizes) if wanted(piece, only)]
    known = {word for piece in everything(small=small, sizes=sizes) for word in words(piece)}
    if unknown := set(only) - known:
        raise SystemExit(f"--only knows no {', '.join(sorted(unknown))}; it knows {', '.join(sorted(known))}")
    return chosen


def everything(*, small: bool, sizes: Mapping[str, int]) -> Iterator[Piece]:
    """All there is."""
    for name, work in WORK.items():
        size = sizes.get(name, work.small if small else work.size)
        for system in RAW if name == "raw" else OURS:
            yield Piece(system, name, size, work.rounds)
        if name == "W1":
            yield Piece("agentflow:sqlite", TRACED, WORK["W1"].small, 1)
        for system, workloads in BESIDE.items():
            if name in workloads:
                usual, rounds = workloads[name]
                yield Piece(system, name, SMALL_BESIDE[name] if small else usual, rounds, beside=True)


def words(piece: Piece) -> set[str]:
    """What the piece is called by: workload, system, the system without its database, and where it is measured."""
    return {piece.workload, piece.system, piece.system.partition(":")[0], "beside" if piece.beside else "alone"}


def wanted(piece: Piece, only: Sequence[str]) -> bool:
    """Whether it is asked for: by its workload if any is named, and by its system if any is."""
    workloads = {*WORK, TRACED}
    named = [word for word in only if word in workloads]
    others = [word for word in only if word not in workloads]
    usual = piece.workload == TRACED or WORK[piece.workload].usual
    return (piece.workload in named if named else usual) and all(
        any(word in words(piece) for word in group) for group in grouped(others)
    )


def grouped(others: Sequence[str]) -> Iterator[list[str]]:
    """Words of one kind, any of which will do: systems, and where they are measured."""
    for group in ([word for word in others if word not in {"alone", "beside"}], [*{"alone", "beside"} & set(others)]):
        if group:
            yield group
