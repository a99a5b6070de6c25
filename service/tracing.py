"""Every request as a span, where traces are sent."""

from __future__ import annotations

from opentelemetry.trace import SpanKind, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geofix.observability import tracing
from service.metering import template


class Tracing:
    """ASGI middleware: like metrics and logs, a span tells a route and never a path or a query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with tracing.received("request", SpanKind.SERVER, Headers(scope=scope), {}) as span:

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            try:
                await self._app(scope, receive, watched)
            finally:
                route = template(scope)
                span.update_name(f"{method} {route}".rstrip())
                span.set_attributes({"http.request.method": method, "http.route": route})
