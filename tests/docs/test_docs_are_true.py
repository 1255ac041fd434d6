"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentflow.states import Transition

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def diagram() -> list[str]:
    arrows = [
        f"    {source.value} --> {move.target.value}: {move.name.lower()}"
        for move in Transition
        for source in sorted(move.sources)
    ]
    return ["stateDiagram-v2", "    [*] --> queued: triggered", *arrows]


def test_the_diagram_of_states_is_the_table_of_transitions() -> None:
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- transitions:begin -->\n```mermaid\n(.*?)\n```\n<!-- transitions:end -->", page, re.DOTALL)
    assert found is not None
    assert found[1].splitlines() == diagram()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_local_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_every_command_the_readme_names_exists() -> None:
    from agentflow.cli.application import build

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shell = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    named = set(re.findall(r"(?:^|bin/)agentflow ([a-z]+)", shell, re.MULTILINE))
    assert {"serve", "demo"} <= named
    program = build()
    groups = {group.name for group in program.registered_groups}
    assert named <= {command.name for command in program.registered_commands} | groups


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_the_documentation_parses(page: Path) -> None:
    for block in re.findall(r"```python[^\n]*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        wrapped = "async def page():\n" + "".join(f"    {line}\n" for line in block.splitlines())
        compile(wrapped, str(page), "exec")
