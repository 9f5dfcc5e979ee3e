"""The HTTP and WebSocket routes of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from cato_lsp.engine.api import EngineError
from cato_lsp.gateway.connection import Connection
from cato_lsp.gateway.overview import overview
from cato_lsp.gateway.service import Service
from cato_lsp.remote.messages import PATH

PAGE = Path(__file__).parent / "page"
NO_KEY = "A key is needed: `Authorization: Bearer KEY`. Make one with `cato-lsp keys add NAME`.\n"


def make_app(service: Service, more: Sequence[BaseRoute]) -> Starlette:
    """Make the application around a service.

    :param more: further routes.
    """

    async def engine(socket: WebSocket) -> None:
        user = service.user(socket.headers.get("authorization"))
        if user is None:
            return await socket.send_denial_response(PlainTextResponse(NO_KEY, 401))
        if service.too_many_connections(user):
            return await socket.send_denial_response(PlainTextResponse("Too many connections.\n", 429))
        try:
            model = service.side.model
        except EngineError as error:
            return await socket.send_denial_response(PlainTextResponse(f"{error} {error.remedy}\n", 503))
        await socket.accept()
        await Connection(service, socket, user, model).run()
        return None

    async def metrics(_request: Request) -> Response:
        return Response(service.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def show_overview(_request: Request) -> Response:
        return JSONResponse(overview(service), headers={"Cache-Control": "no-store"})

    async def health(_request: Request) -> Response:
        try:
            name = service.side.model.name
        except EngineError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return PlainTextResponse("stopping\n", 503) if service.draining.is_set() else PlainTextResponse(f"{name}\n")

    return Starlette(
        routes=[
            WebSocketRoute(PATH, engine),
            Route("/metrics", with_key(service, metrics)),
            Route("/overview", with_key(service, show_overview)),
            Route("/health", health),
            Route("/", _page("index.html", "text/html")),
            Route("/page.js", _page("page.js", "text/javascript")),
            *more,
        ]
    )


def with_key(
    service: Service, handler: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Require a valid key."""

    async def handle(request: Request) -> Response:
        if service.user(request.headers.get("authorization")) is None:
            return PlainTextResponse(NO_KEY, 401, {"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return handle


def _page(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    headers = {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }

    async def handle(_request: Request) -> Response:
        return Response((PAGE / name).read_text(encoding="utf-8"), media_type=media_type, headers=headers)

    return handle
