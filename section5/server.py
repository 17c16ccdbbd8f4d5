"""The prediction over HTTP: POST /predict answers one question; every mistake in it is a 4xx that names the field."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from batch import config
from batch.errors import EngineError
from section5 import job, openapi
from section5.predict import Predictor, UnknownValueError, shown
from section5.rules import Schema
from section5.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LARGEST = 4096  # bytes of a request's body; a complete question has about 120
PATIENCE = 5.0  # seconds in which a body must have arrived
CONNECTIONS = 64
NUMBERS = ("doors", "persons")  # whose values may also be written as a JSON number


class RefusedError(Exception):
    """A request that is not answered: the HTTP status, the field that is wrong (empty: the whole body), and why."""

    def __init__(self, status: int, field: str, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.status = status
        self.content = {"error": {"field": field, "problem": problem, "hint": hint}}


def application(predictor: Predictor) -> Starlette:
    """The application that answers with this model."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

    page = openapi.describe(predictor)
    manual = docs(page)

    async def predict(request: Request) -> Response:
        known = question(await body(request), predictor.schema)
        return Response(msgspec.json.encode(predictor.answer(known)), media_type="application/json")

    async def health(request: Request) -> Response:
        trained = predictor.trained
        return JSONResponse({"status": "ok", "model": trained.checksum[:12], "data": trained.data_sha256[:12]})

    async def describe(request: Request) -> Response:
        return JSONResponse(page)

    async def read(request: Request) -> Response:
        return HTMLResponse(manual)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return JSONResponse(error.content, error.status)

    async def unknown_value(request: Request, error: Exception) -> Response:
        assert isinstance(error, UnknownValueError)
        return await refused(request, RefusedError(422, shown(error.field), error.what, error.hint))

    async def elsewhere(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        hint = "There are POST /predict, GET /health, GET /docs and GET /openapi.json."
        response = await refused(request, RefusedError(error.status_code, "", error.detail, hint))
        response.headers.update(error.headers or {})
        return response

    return Starlette(
        routes=[
            Route("/predict", predict, methods=["POST"]),
            Route("/health", health),
            Route("/openapi.json", describe),
            Route("/docs", read),
            Route("/", read),
        ],
        exception_handlers={RefusedError: refused, UnknownValueError: unknown_value, HTTPException: elsewhere},
    )


async def body(request: Request) -> bytes:
    """The request's body. Raises RefusedError where it is too large or too slow."""
    from starlette.requests import ClientDisconnect

    received = b""
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                received += chunk
                if len(received) > LARGEST:
                    raise RefusedError(413, "", f"the body is larger than {LARGEST} bytes")
    except TimeoutError as error:
        raise RefusedError(408, "", f"the body did not arrive within {PATIENCE:.0f} seconds") from error
    except ClientDisconnect as error:
        raise RefusedError(400, "", "the body ended early") from error
    return received


def question(raw: bytes, schema: Schema) -> dict[str, str]:
    """What is known of the car, from a JSON object. Raises RefusedError; whether a value exists is not looked at."""
    try:
        pairs = json.loads(raw, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        problem = f"the body is not JSON: {error}"
        raise RefusedError(400, "", problem, 'Send an object: {"safety": "high", "class": "good"}') from error
    if not isinstance(pairs, _Object):
        raise RefusedError(422, "", "the body is not a JSON object", 'Send, for example: {"class": "good"}')
    known: dict[str, str] = {}
    for name, value in pairs:
        if name in known:
            raise RefusedError(422, shown(name), "this field is given twice")
        if name not in schema.evidence:
            raise RefusedError(422, shown(name), "there is no such field", config.suggest(name[:40], schema.evidence))
        whole = isinstance(value, int) and not isinstance(value, bool) and name in NUMBERS and abs(value) < 100
        if not (isinstance(value, str) or whole):
            hint = f"Allowed are: {', '.join(schema.columns[name])}. Leave the field out where it is not known."
            raise RefusedError(422, name, f"a text is needed, not {_kind(value)}", hint)
        known[name] = str(value)
    return known


class _Object(list[tuple[str, Any]]):
    """A JSON object as it was written, with fields that stand there twice."""


def _kind(value: Any) -> str:
    match value:
        case None | bool():
            return json.dumps(value)
        case float() | int():
            return f"the number {str(value)[:20]}"
        case _Object():
            return "an object"
        case _:
            return "a list"


def docs(page: dict[str, Any]) -> str:
    """The description as a page that needs nothing from elsewhere."""
    fields = page["components"]["schemas"]["Question"]["properties"]
    rows = "".join(f"<tr><td>{name}<td>{', '.join(of['enum'])}" for name, of in fields.items())
    example = page["paths"]["/predict"]["post"]
    asked = html.escape(json.dumps(example["requestBody"]["content"]["application/json"]["example"]), quote=False)
    answer = example["responses"]["200"]["content"]["application/json"]["example"]
    answered = html.escape(json.dumps(answer, indent=2), quote=False)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{page["info"]["title"]}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}}
pre{{background:#f4f4f4;padding:1rem;overflow:auto}}td,th{{text-align:left;padding-right:2rem}}</style>
<h1>{page["info"]["title"]}</h1><p>{html.escape(page["info"]["description"])}
<h2>POST /predict</h2><p>{html.escape(example["description"])}
<table><tr><th>field<th>values{rows}</table>
<pre>curl http://127.0.0.1:8585/predict --json '{asked}'</pre><pre>{answered}</pre>
<p>A mistake is answered with 4xx and <code>{{"error": {{"field", "problem", "hint"}}}}</code>.
<h2>GET /health</h2><p>200 while the server answers, with the first digits of the model's and the data's SHA-256.
<h2>GET /openapi.json</h2><p>The same description for programs (<a href="/openapi.json">OpenAPI 3.1</a>).</html>
"""


def serve(settings: Settings, host: str, port: int) -> int:
    """Answer until told to stop; returns the exit code. Raises EngineError where the address is not to be had."""
    import socket

    import uvicorn

    of = job.data(settings)
    app = application(job.predictor(settings, of))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen()  # whoever reads the line below may connect
        except OSError as error:
            hint = "Take another one: --port 8586, or --port 0 for any that is free."
            raise EngineError(f"cannot listen: {error.strerror}", where=f"{host}:{port}", hint=hint) from error
        bound = listening.getsockname()[1]
        print(
            f"http://{f'[{host}]' if ':' in host else host}:{bound}/docs tells how to ask; Ctrl-C ends it", flush=True
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn ends well first, then hands it on
        told = uvicorn.Config(app, log_level="warning", limit_concurrency=CONNECTIONS, timeout_keep_alive=5)
        uvicorn.Server(told).run(sockets=[listening])
    return 0
