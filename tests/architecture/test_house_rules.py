"""The rules hold for this checkout, and each of them is seen to fail on a checkout that breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.architecture.import_rules import cycles, folders_without_init, hidden_imports
from tests.architecture.size_rules import long_files, long_functions, too_many_long_functions
from tests.architecture.text_rules import machine_paths, registry_hosts, unreasoned_noqa
from tests.architecture.word_rules import banned_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]

RULES = [
    long_files,
    long_functions,
    too_many_long_functions,
    hidden_imports,
    folders_without_init,
    cycles,
    banned_names,
    machine_paths,
    registry_hosts,
    unreasoned_noqa,
]


@dataclass(frozen=True)
class Planted:
    """A checkout of a few files, and how often `rule` must object to it."""

    rule: Callable[[Path], list[str]]
    files: Mapping[str, str]
    objections: int = 1


def function(lines: int, name: str = "f") -> str:
    return f"def {name}():\n" + "    x = 1\n" * (lines - 1)


def noqa(rest: str) -> str:
    return f"import os  # {'no'}qa{rest}\n"


SLASH = "/"
VIOLATIONS = {
    "a file of 301 lines": Planted(long_files, {"agentflow/a.py": "x = 1\n" * 301}),
    "a test file of 401 lines": Planted(long_files, {"tests/test_a.py": "x = 1\n" * 401}),
    "a function of 41 lines": Planted(long_functions, {"schedulers/a.py": function(41)}),
    "a method of 41 lines": Planted(
        long_functions, {"agentflow/a.py": "class A:\n    def f(self):\n" + "        x = 1\n" * 40}
    ),
    "two of ten functions over 25 lines": Planted(
        too_many_long_functions,
        {"agentflow/a.py": function(26) * 2 + function(2) * 8},
        objections=2,
    ),
    "an import inside a function": Planted(hidden_imports, {"agentflow/a.py": "def f():\n    import os\n"}),
    "an import inside a nested method": Planted(
        hidden_imports, {"approvals_ui/a.py": "class A:\n    async def f(self):\n        from os import path\n"}
    ),
    "a folder that is no package": Planted(
        folders_without_init, {"agentflow/__init__.py": "", "agentflow/tasks/task.py": ""}
    ),
    "two modules that import each other": Planted(
        cycles, {"agentflow/a.py": "from agentflow import b\n", "agentflow/b.py": "import agentflow.a\n"}
    ),
    "a cycle of three by relative imports": Planted(
        cycles,
        {
            "agentflow/__init__.py": "",
            "agentflow/x/__init__.py": "from .a import A\n",
            "agentflow/x/a.py": "from .b import B\n",
            "agentflow/x/b.py": "from . import C\n",
        },
    ),
    "a cycle hidden in a function": Planted(
        cycles, {"agentflow/a.py": "import agentflow.b\n", "agentflow/b.py": "def f():\n    import agentflow.a\n"}
    ),
    "a class": Planted(banned_names, {"agentflow/a.py": "class RunManager: ...\n"}),
    "a function": Planted(banned_names, {"agentflow/a.py": "async def start_workflow(): ...\n"}),
    "an argument": Planted(banned_names, {"agentflow/a.py": "def f(*, job_id): ...\n"}),
    "a field": Planted(banned_names, {"agentflow/a.py": "class A:\n    info: str\n"}),
    "a constant": Planted(banned_names, {"agentflow/a.py": "DEFAULT_HANDLERS = ()\n"}),
    "a module": Planted(banned_names, {"agentflow/utils.py": ""}),
    "a home folder": Planted(machine_paths, {"docs/a.md": f"cd {SLASH}home/mia/agentflow\n"}),
    "a folder of one machine": Planted(machine_paths, {"Makefile": f'PYTHON = "{SLASH}opt/venv/bin/python"\n'}),
    "a registry": Planted(registry_hosts, {"README.md": "from https://" + "pypi" + ".org/simple\n"}),
    "an index": Planted(registry_hosts, {"Dockerfile": "RUN pip install --" + "index-url x\n"}),
    "a blanket noqa": Planted(unreasoned_noqa, {"agentflow/a.py": noqa("")}),
    "a noqa without a reason": Planted(unreasoned_noqa, {"tests/a.py": noqa(": F401")}),
    "a noqa of two rules without a reason": Planted(unreasoned_noqa, {"tests/a.py": noqa(": F401, E501")}),
}

LAWFUL = {
    "a file of 300 lines": Planted(long_files, {"agentflow/a.py": "x = 1\n" * 300, "tests/a.py": "x = 1\n" * 400}),
    "a function of 40 lines": Planted(long_functions, {"agentflow/a.py": function(40)}),
    "one of ten functions over 25 lines": Planted(
        too_many_long_functions, {"agentflow/a.py": function(40) + function(25) * 9}
    ),
    "late imports of the composition root": Planted(
        hidden_imports, {"agentflow/cli/a.py": "def f():\n    import os\n"}
    ),
    "annotations that look at each other": Planted(
        cycles,
        {
            "agentflow/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import agentflow.b\n",
            "agentflow/b.py": "import agentflow.a\n",
        },
    ),
    "words that only contain a banned one": Planted(
        banned_names, {"agentflow/a.py": "def metadata(servicing, data): ...\nclass Database: ...\n"}
    ),
    "paths of no machine": Planted(
        machine_paths, {"a.md": f"https://x.test{SLASH}home/a examples{SLASH}work/a {SLASH}data/agentflow.db\n"}
    ),
    "a noqa with its reason": Planted(unreasoned_noqa, {"agentflow/a.py": noqa(": F401  re-exported for typing")}),
}


def plant(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_this_checkout_keeps(rule: Callable[[Path], list[str]]) -> None:
    assert rule(ROOT) == []


@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_rules_refuse(tmp_path: Path, name: str) -> None:
    planted = VIOLATIONS[name]
    found = planted.rule(plant(tmp_path, planted.files))
    assert len(found) == planted.objections, found


@pytest.mark.parametrize("name", LAWFUL)
def test_the_rules_let_pass(tmp_path: Path, name: str) -> None:
    planted = LAWFUL[name]
    assert planted.rule(plant(tmp_path, planted.files)) == []


def test_every_rule_is_seen_to_fail() -> None:
    assert {planted.rule for planted in VIOLATIONS.values()} == set(RULES)


def test_the_rules_look_at_something() -> None:
    assert any((ROOT / "agentflow").rglob("*.py"))
