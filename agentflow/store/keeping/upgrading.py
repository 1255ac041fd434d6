"""Which steps bring a database to this release's schema."""

from __future__ import annotations

from alembic.script import ScriptDirectory

from agentflow.store.migrate import configuration


def steps(revision: str | None) -> list[tuple[str, str]]:
    """The migrations that a database of this revision lacks, oldest first, each with what it is for."""
    scripts = ScriptDirectory.from_config(configuration()).walk_revisions()
    every = sorted((script.revision, " ".join((script.doc or "").split())) for script in scripts)
    return [(name, said) for name, said in every if revision is None or name > revision]
