"""The API's reference: Swagger UI from its Python package, so that it works without a network."""

from typing import Any, Final

from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.static_files import create_static_files_router
from swagger_ui_bundle import swagger_ui_path

from approvals_ui.views import ENVIRONMENT

ASSETS: Final = "/schema-assets"


class Reference(OpenAPIRenderPlugin):
    """Swagger UI in a page without inline scripts, as our content policy wants it."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page; its script fetches the schema."""
        html = ENVIRONMENT.get_template("schema.html").render(
            assets=ASSETS, document=self.get_openapi_json_route(request), title=openapi_schema["info"]["title"]
        )
        return html.encode()


def openapi() -> OpenAPIConfig:
    """The schema at /schema/openapi.json and its reference at /schema."""
    return OpenAPIConfig(
        title="agentflow",
        version="1",
        description="Start runs, read them, and answer what they ask. Errors are problem documents (RFC 9457).",
        path="/schema",
        render_plugins=[Reference(), JsonRenderPlugin(path="/openapi.json")],
        use_handler_docstrings=True,
    )


def assets() -> Router:
    """Swagger UI's own files."""
    return create_static_files_router(path=ASSETS, directories=[swagger_ui_path], name="reference")
