"""Where the tasks are: `app.py`, `app.py:task`, `package.module` or `package.module:task`."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from agentflow.cli.exits import Refused

if TYPE_CHECKING:
    from agentflow.tasks.catalog import Catalog
    from agentflow.tasks.task import Task

_TASK = re.compile(r"(?P<module>.+):(?P<task>[^:/\\]+)")


@dataclass(frozen=True, slots=True)
class Target:
    """A module by file or by name, and the task in it if one is named."""

    module: str
    task: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether the module is given as a path."""
        return self.module.endswith(".py") or os.sep in self.module or "/" in self.module


@dataclass(frozen=True, slots=True)
class Application:
    """A user's module, imported, and the definitions found in it."""

    target: Target
    module: ModuleType
    catalog: Catalog


def parse_target(text: str) -> Target:
    """The module and the task that `text` names. Raises `Refused` for a text that names no module."""
    found = _TASK.fullmatch(text)
    target = Target(found["module"], found["task"]) if found else Target(text)
    if not target.is_file and not all(part.isidentifier() for part in target.module.split(".")):
        raise Refused(f"found {text!r}; wanted a file or a module, such as app.py, app.py:task or package.module:task")
    return target


def load(text: str) -> Application:
    """The module `text` names, imported, with its tasks, schedules and webhooks.

    Raises `Refused` in one sentence, with file and line, if it does not import.
    """
    target = parse_target(text)
    module = _from_file(target) if target.is_file else _from_name(target)
    from agentflow.tasks.catalog import Catalog

    return Application(target, module, Catalog.collect([module]))


def load_with_tasks(text: str) -> Application:
    """The application, which has at least one task; a worker without any would wait for nothing."""
    application = load(text)
    if not application.catalog.tasks:
        raise Refused(f"{application.target.module} defines no task; put @task over an async function in it")
    return application


def named_task(application: Application) -> Task[..., Any]:
    """The task the target names, by its id or by its name in the module. Raises `TaskNotFound` naming the nearest."""
    name = application.target.task
    if name is None:
        names = ", ".join(sorted(application.catalog.tasks)) or "none"
        module = application.target.module
        raise Refused(f"found {module}; wanted {module}:TASK, which names one of its tasks ({names})")
    by_name = getattr(application.module, name, None)
    if name not in application.catalog.tasks and by_name in application.catalog.tasks.values():
        return cast("Task[..., Any]", by_name)
    return application.catalog.task(name)


def _from_file(target: Target) -> ModuleType:
    path = Path(target.module)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "nothing"
        raise Refused(f"found {what} at {target.module}; wanted a Python file, such as app.py")
    path = path.resolve()
    root, name = _place(path)
    _first_on_path(root)
    module = _imported(name, target, root)
    if Path(getattr(module, "__file__", None) or "").resolve() != path:
        raise Refused(
            f"{target.module} cannot be imported as {name!r}: that name is taken by "
            f"{getattr(module, '__file__', None) or 'Python itself'}; rename the file"
        )
    return module


def _place(path: Path) -> tuple[Path, str]:
    """The folder to import from and the module's name there: a file in a package keeps its full name."""
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return root, ".".join(parts)


def _from_name(target: Target) -> ModuleType:
    root = Path.cwd()
    _first_on_path(root)
    return _imported(target.module, target, root)


def _first_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _imported(name: str, target: Target, root: Path) -> ModuleType:
    try:
        with redirect_stdout(sys.stderr):  # stdout is for the command's answer
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise Refused(f"there is no module {target.module!r} in {root} or among the installed ones") from error
        raise Refused(_sentence(error, target, root)) from error
    except SystemExit as error:
        remedy = 'put what ends the program under `if __name__ == "__main__":`'
        raise Refused(f"{_sentence(error, target, root)}; {remedy}") from error
    except Exception as error:
        raise Refused(_sentence(error, target, root)) from error


def _sentence(error: BaseException, target: Target, root: Path) -> str:
    file, line = _where(error, root)
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{target.module} does not import: {file}:{line}: {what}"


def _where(error: BaseException, root: Path) -> tuple[str, int]:
    """The user's own line that led to the error, not the library's it ended in."""
    if isinstance(error, SyntaxError) and error.filename:
        return _shown(error.filename), error.lineno or 0
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if "importlib" not in frame.f_code.co_filename and frame.f_code.co_filename != __file__
    ]
    own = [(file, line) for file, line in frames if Path(file).is_relative_to(root) and "site-packages" not in file]
    file, line = (own or frames or [(str(root), 0)])[-1]
    return _shown(file), line


def _shown(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file
