"""The browser pages of this service, from its own origin, and the security headers of every answer.

`static_router` hands out what the build hook put into `static/`: the API explorer at /graphiql, and the hashed files
it is made of below /static. `SecurityHeaders` wraps the whole application. Neither knows anything of GraphQL.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC_FOLDER = Path(__file__).with_name("static")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        # The editor starts its workers from files of this origin.
        "worker-src 'self' blob:",
        # The editor positions its lines with style attributes.
        "style-src 'self' 'unsafe-inline'",
        # The editor draws the wave under an error as a data: picture.
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

_SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # What the estate looks like is nobody else's business; files that may be kept say so themselves.
    "cache-control": "no-store",
}
_STRICT_TRANSPORT_SECURITY = "max-age=31536000"

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>CMDB: pages not built</title>
<body style="font: 16px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1rem">
<h1>The browser pages are not built</h1>
<p>The service itself runs: <code>/graphql</code> answers. To build the pages, run <code>pip install -e .</code> in
the source tree without <code>CMDB_WEB_SKIP</code>, then reload.</p>
<section lang="zh-CN">
<h1>网页尚未构建</h1>
<p>服务本身正在运行：<code>/graphql</code> 可以使用。要构建网页，请在源代码目录中运行 <code>pip install -e .</code>
（不要设置 <code>CMDB_WEB_SKIP</code>），然后刷新本页。</p>
</section>
"""


def static_router(folder: Path = STATIC_FOLDER) -> APIRouter:
    """Routes for the built pages in `folder`: GET and HEAD of /graphiql and of /static/...

    Pages are revalidated on each load; files below /static/assets carry a hash of their content in their name and
    are kept for good. A file with a `.gz` neighbour goes out compressed to clients that accept it. While the pages
    are not built, /graphiql answers 503 and says how to build them.
    """
    router = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=folder, check_dir=False)

    async def compressed_answer(path: str, request: Request, plain: Response) -> Response:
        try:
            answer = await files.get_response(f"{path}.gz", request.scope)
        except HTTPException:
            return plain
        answer.headers["content-type"] = plain.headers["content-type"]
        answer.headers["content-encoding"] = "gzip"
        return answer

    async def file_answer(path: str, request: Request, cache_control: str) -> Response:
        answer = await files.get_response(path, request.scope)
        if answer.status_code == 200 and "gzip" in request.headers.get("accept-encoding", ""):
            answer = await compressed_answer(path, request, answer)
        answer.headers["vary"] = "accept-encoding"
        answer.headers["cache-control"] = cache_control
        return answer

    @router.api_route("/graphiql", methods=["GET", "HEAD"])
    async def graphiql(request: Request) -> Response:
        if not (folder / "graphiql.html").is_file():
            return HTMLResponse(_NOT_BUILT, status_code=503)
        return await file_answer("graphiql.html", request, "no-cache")

    @router.api_route("/static/{path:path}", methods=["GET", "HEAD"])
    async def static(path: str, request: Request) -> Response:
        hashed = path.startswith("assets/")
        return await file_answer(
            path, request, "public, max-age=31536000, immutable" if hashed else "no-cache"
        )

    return router


class SecurityHeaders:
    """ASGI middleware: every HTTP answer goes out with the headers, errors and refused WebSockets included.

    A header that the application set itself stays. Strict-Transport-Security goes out only over TLS. Wrap the
    application as a whole (`SecurityHeaders(app)`): `app.add_middleware` would place this inside the handler of
    unexpected errors, whose answers would then lack the headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the connection on, completing the head of its answer."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        encrypted = scope.get("scheme") in {"https", "wss"}

        async def send_with_headers(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if encrypted:
                    headers.setdefault("strict-transport-security", _STRICT_TRANSPORT_SECURITY)
                message = {**message, "headers": headers.raw}
            await send(message)

        await self._app(scope, receive, send_with_headers)
