"""The API's OpenAPI document, and its reference: Swagger UI from its Python package, so that it needs no network."""

import json
from typing import Final

from litestar import MediaType, Response, Router, get
from litestar.static_files import create_static_files_router
from swagger_ui_bundle import swagger_ui_path

from approvals_ui.access import OPEN, needs
from approvals_ui.api.document import document_of
from approvals_ui.views import ENVIRONMENT, Asked

ASSETS: Final = "/schema-assets"
DOCUMENT: Final = "/schema/openapi.json"


@get("/")
async def reference() -> Response[str]:
    """The reference, in a page without inline scripts, as our content policy wants it."""
    html = ENVIRONMENT.get_template("schema.html").render(assets=ASSETS, document=DOCUMENT)
    return Response(html, media_type=MediaType.HTML)


@get("/openapi.json")
async def document(request: Asked) -> Response[bytes]:
    """The OpenAPI 3.1 document."""
    state = request.app.state
    if "document" not in state:
        state["document"] = json.dumps(document_of(request.app), ensure_ascii=False).encode()
    return Response(state["document"], media_type=MediaType.JSON)


def routes() -> list[Router]:
    """The reference at /schema, the document below it, and Swagger UI's own files."""
    pages = Router(path="/schema", route_handlers=[reference, document], opt=needs(OPEN))
    files = create_static_files_router(path=ASSETS, directories=[swagger_ui_path], name="reference", opt=needs(OPEN))
    return [pages, files]
