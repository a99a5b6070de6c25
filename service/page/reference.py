"""GET /docs: the API to read and to try. All that the page loads comes from this service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

from geofix.errors import NotFound
from service.page.files import PageFile, answer, page_file

router = APIRouter(include_in_schema=False)

_PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Geofix API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
# Without validatorUrl the page would send its address to a validator elsewhere.
_START = b"""SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  validatorUrl: null,
  deepLinking: true,
});
"""
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""Swagger UI sets styles by itself; scripts come from files alone."""


@router.get("/docs")
async def reference(request: Request) -> Response:
    """The page."""
    return await _file(request, "")


@router.get("/docs/{name}")
async def reference_file(request: Request, name: str) -> Response:
    """A file that it loads."""
    return await _file(request, name)


async def _file(request: Request, name: str) -> Response:
    found = (await asyncio.to_thread(_files)).get(name)
    if found is None:
        raise NotFound("The page has no such file.")
    return answer(request, found, _HEADERS)


@lru_cache(maxsize=1)
def _files() -> Mapping[str, PageFile]:
    """The page, under an empty name, and what it loads."""
    swagger = resources.files("fastapi_offline").joinpath("static")  # Swagger UI's own build
    script = "text/javascript; charset=utf-8"
    return {
        "": page_file(_PAGE, "text/html; charset=utf-8"),
        "start.js": page_file(_START, script),
        "swagger-ui-bundle.js": page_file(
            swagger.joinpath("swagger-ui-bundle.js").read_bytes(), script
        ),
        "swagger-ui.css": page_file(
            swagger.joinpath("swagger-ui.css").read_bytes(), "text/css; charset=utf-8"
        ),
    }
