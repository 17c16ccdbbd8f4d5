"""An API that behaves as told, and loads that ask it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from batch.postgres import connect
from section4.fetch import Limits
from section4.ingest import Load
from section4.settings import Settings
from section4.store import Ingest

Sql = Callable[..., list[tuple[Any, ...]]]
NOW = datetime(2020, 6, 1, 12, tzinfo=UTC)
FIRST = date(2020, 1, 23)
PATIENT = Limits(timeout=10, deadline=30, attempts=3, first_wait=0.01, longest_wait=0.05, max_bytes=200_000)
HASTY = msgspec.structs.replace(PATIENT, timeout=0.6, deadline=2.5)
"""For servers that take their time; a busy machine may be as slow as that by itself."""


def elements(totals: Sequence[int], first: date = FIRST) -> list[dict[str, Any]]:
    """An answer of the covid19api: one element a day."""
    return [
        {
            "Country": "Singapore",
            "CountryCode": "SG",
            "Province": "",
            "Lat": "1.35",
            "Cases": total,
            "Status": "confirmed",
            "Date": f"{first + timedelta(days=number)}T00:00:00Z",
        }
        for number, total in enumerate(totals)
    ]


class Api:
    """An HTTP server; `answers` are what it does to the requests, one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.requests.append((self.path, dict(self.headers)))
                answer = api.answers.pop(0) if len(api.answers) > 1 else api.answers[0]
                with contextlib.suppress(OSError):  # the client has had enough
                    answer(self)
                self.close_connection = True

            def log_message(self, form: str, *values: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def sends(
    body: object, status: int = 200, kind: str = "application/json", headers: dict[str, str] | None = None
) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer with this body: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        about = {"Content-Type": kind, "Content-Length": str(len(data)), "Connection": "close"}
        for name, value in (about | (headers or {})).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def load(settings: Settings, *, full: bool = False, now: datetime = NOW) -> list[Ingest]:
    """Load as the command line does."""
    with connect(settings.database, "tests") as connection:
        return Load(settings, full=full, now=now).run(connection)
