"""A store on 127.0.0.1 that does what S3 does (moto), and what a store does on a bad day."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread
from typing import Any

Environ = dict[str, Any]
Answer = Callable[[str, list[tuple[str, str]]], object]
Fault = Callable[[Environ], tuple[int, str] | None]  # a status and S3's name of the error, or nothing

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


class StandIn:
    """The server. `fault` may answer a request in its place, or change the request."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Silent(WSGIRequestHandler):
            def log(self, *_: object) -> None:
                pass

        self.fault: Fault = lambda _: None
        self.cut = 0  # so many answers to ranged reads end in their middle
        self._application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Silent)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, environ: Environ, start: Answer) -> Iterable[bytes]:
        if error := self.fault(environ):
            status, code = error
            start(f"{status} {code}", [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]
        answer: Iterable[bytes] = self._application(environ, start)
        if self.cut and "HTTP_RANGE" in environ:
            self.cut -= 1
            whole = b"".join(answer)
            return [whole[: len(whole) // 2]]
        return answer

    def client(self) -> Any:
        """boto3's own client."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )

    def bucket(self, name: str) -> Bucket:
        """A new bucket."""
        self.client().create_bucket(Bucket=name)
        return Bucket(self, name)

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()


class Bucket:
    """A bucket as a person with boto3 sees it; input is in `in`, output in `out`."""

    def __init__(self, store: StandIn, name: str) -> None:
        self.store, self.name, self.client = store, name, store.client()
        self.source, self.output = f"s3a://{name}/in", f"s3a://{name}/out"

    def put(self, key: str, data: bytes | str) -> None:
        """Put an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data.encode() if isinstance(data, str) else data)

    def get(self, key: str) -> bytes:
        """An object's content."""
        data: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def fill(self, folder: Path) -> None:
        """Put the files of a folder into the input; those are removed whose names moto or S3 does not take."""
        for path in folder.iterdir():
            if path.name.isprintable():
                self.put(f"in/{path.name}", path.read_bytes())
            else:
                path.unlink()

    def names(self, prefix: str = "") -> set[str]:
        """The objects that are there."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def pointer(self) -> dict[str, Any]:
        """What readers follow; empty before the first run."""
        return json.loads(self.get("out/current.json")) if "out/current.json" in self.names("out/c") else {}

    def outputs(self) -> dict[str, bytes]:
        """What readers see, by name; the manifest tells the time and is left out."""
        if not (pointer := self.pointer()):
            return {}
        start = f"out/runs/{pointer['run_id']}/"
        assert set(pointer["folders"].values()) == {f"{start[4:]}{name}" for name in pointer["folders"]}
        keys = self.names(start)
        assert f"out/{pointer['manifest']}" in keys
        return {key.removeprefix(start): self.get(key) for key in keys if not key.endswith("manifest.json")}

    def ledger(self, query: str) -> list[Any]:
        """Ask the ledger."""
        connection = sqlite3.connect(":memory:")
        connection.deserialize(self.get("out/state/ledger.sqlite"))
        return list(connection.execute(query))

    def snapshot(self) -> dict[str, bytes]:
        """All objects."""
        return {key: self.get(key) for key in self.names()}

    def restore(self, objects: dict[str, bytes]) -> None:
        """Have exactly these objects."""
        for key in self.names() - set(objects):
            self.client.delete_object(Bucket=self.name, Key=key)
        for key, data in objects.items():
            self.put(key, data)
