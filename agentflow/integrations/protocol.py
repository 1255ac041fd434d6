"""What is asked of an MCP server, and what its answers and refusals are. The package is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_TOOLS: Final = 500


def require_package() -> None:
    """Raise `DefinitionError` where the package is missing, saying how to get it."""
    try:
        import mcp  # noqa: F401, PLC0415  an extra
    except ImportError as error:
        raise DefinitionError("MCP servers need the package mcp: pip install agentflow[mcp]") from error


async def first_page(client: Any) -> Any:
    return await client.list_tools()


async def listed(client: Any) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if len(found) > _MOST_TOOLS or (cursor is not None and not page.tools):
            raise ToolError(f"it lists more than {_MOST_TOOLS} tools, or pages without end; name some with include=")
        if cursor is None:
            return found


async def answer_to(question: Callable[[Any], Any], client: Any) -> tuple[Any, str | None]:
    """The answer, or a `ToolError` with the server's refusal, and else how the answer was lost."""
    import anyio  # noqa: PLC0415  an extra
    from mcp.shared.exceptions import MCPError  # noqa: PLC0415  an extra
    from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, REQUEST_TIMEOUT  # noqa: PLC0415  an extra
    from pydantic import ValidationError  # noqa: PLC0415  loaded with the extra

    try:
        return await question(client), None
    except MCPError as error:
        if error.code in (CONNECTION_CLOSED, REQUEST_TIMEOUT, INTERNAL_ERROR):
            return None, error.message
        return ToolError(error.message), None
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError) as error:
        return None, f"the connection is gone ({type(error).__name__})"
    except (ValidationError, RuntimeError) as error:
        return ToolError(f"its answer is not what it said it would be ({type(error).__name__}: {error})"), None
