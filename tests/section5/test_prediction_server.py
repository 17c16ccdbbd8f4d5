"""The server as a client meets it: a process, its answers, and what it makes of hostile requests."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from section5 import artefact
from section5.artefact import Artefact
from section5.settings import ROOT

pytest.importorskip("uvicorn", reason="needs the predict category of Pipfile.lock")
ASKED = {"maint": "high", "doors": "4", "lug_boot": "big", "safety": "high", "class": "good"}


@pytest.fixture(scope="module")
def port(trained: Artefact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    model = tmp_path_factory.mktemp("served") / "model.json"
    artefact.save(trained, model)
    command = [sys.executable, "section5_manage.py", "serve", "--port", "0", "--model", str(model)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"http://127\.0\.0\.1:(\d+)/docs", line)
        assert found, line + process.communicate(timeout=10)[1]
        yield int(found[1])
        process.terminate()
        _, said = process.communicate(timeout=10)
        assert "Traceback" not in said, said
        assert process.returncode == 0


def request(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        raw = response.read()
    finally:
        connection.close()
    html = "html" in response.headers.get("content-type", "")
    return response.status, raw.decode() if html else json.loads(raw or b"null")


def post(port: int, body: bytes) -> tuple[int, Any]:
    return request(port, "POST", "/predict", body)


def test_the_question_is_answered(port: int) -> None:
    status, answer = post(port, json.dumps(ASKED).encode())
    assert status == 200
    assert answer["price"] == "low"
    assert not answer["supported"]
    assert answer["backoff_level"] == 2
    assert answer["probabilities"]["low"] == pytest.approx(2 / 3, abs=0.01)


def test_numbers_are_taken_where_the_values_look_like_some(port: int) -> None:
    assert post(port, b'{"doors": 4, "persons": 2, "class": "unacc"}')[1]["used"]["doors"] == "4"
    assert post(port, b"{}")[1]["price"] is None


@pytest.mark.parametrize(
    ("body", "status", "field", "told"),
    [
        (b'{"maint": "hgih"}', 422, "maint", "Did you mean `high`?"),
        (b'{"mait": "high"}', 422, "mait", "Did you mean `maint`?"),
        (b'{"buying": "low"}', 422, "buying", "Known are"),
        (b'{"doors": NaN}', 422, "doors", "not the number nan"),
        (b'{"doors": Infinity}', 422, "doors", "not the number inf"),
        (b'{"doors": 1e999}', 422, "doors", "not the number inf"),
        (b'{"doors": 4.0}', 422, "doors", "not the number 4.0"),
        (b'{"doors": 7}', 422, "doors", "Allowed are: 2, 3, 4, 5more"),
        (b'{"doors": true}', 422, "doors", "not true"),
        (b'{"class": null}', 422, "class", "Leave the field out"),
        (b'{"class": ["good"]}', 422, "class", "not a list"),
        (b'{"class": {"is": "good"}}', 422, "class", "not an object"),
        (b'{"maint": 4}', 422, "maint", "not the number 4"),
        (b'{"class": "good", "class": "acc"}', 422, "class", "given twice"),
        (b'{"class": ""}', 422, "class", "is no value of class"),
        (b'{"class": "\\ud800"}', 422, "class", "is no value of class"),
        (b'{"\\ud800": "x"}', 422, "?", "no such field"),
        (b'{"class": "' + b"x" * 3000 + b'"}', 422, "class", "..."),
        (b'{"doors": ' + b"9" * 4000 + b"}", 422, "doors", "not the number"),
        (b'["class"]', 422, "", "not a JSON object"),
        (b"", 400, "", "not JSON"),
        (b"class=good", 400, "", "not JSON"),
        (b"\xff\xfe", 400, "", "not JSON"),
        (b"[" * 4000, 400, "", "not JSON"),
        (b'{"a":' * 700, 400, "", "not JSON"),
        (b" " * 5000, 413, "", "larger than 4096 bytes"),
        (b'{"class": "' + b"x" * 2_000_000 + b'"}', 413, "", "larger than 4096 bytes"),
    ],
)
def test_a_hostile_body_is_refused(port: int, body: bytes, status: int, field: str, told: str) -> None:
    found, answer = post(port, body)
    assert found == status, answer
    assert answer["error"]["field"] == field
    assert told in answer["error"]["problem"] + answer["error"]["hint"]
    assert len(json.dumps(answer)) < 600


def test_other_paths_and_methods_are_told_what_there_is(port: int) -> None:
    for method, path, status in (("GET", "/predict", 405), ("DELETE", "/health", 405), ("GET", "/../etc/passwd", 404)):
        found, answer = request(port, method, path)
        assert found == status
        assert "POST /predict" in answer["error"]["hint"]


def test_health_and_docs(port: int, trained: Artefact) -> None:
    status, health = request(port, "GET", "/health")
    assert (status, health["status"]) == (200, "ok")
    assert trained.checksum.startswith(health["model"])
    _, page = request(port, "GET", "/docs")
    assert "<h2>POST /predict</h2>" in page
    assert "src=" not in page
    _, described = request(port, "GET", "/openapi.json")
    assert described["openapi"] == "3.1.0"
    example = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    answered = described["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert post(port, json.dumps(example).encode())[1] == answered
    assert set(described["components"]["schemas"]["Answer"]["properties"]) == set(answered)


def test_a_body_that_does_not_arrive_is_not_waited_for(port: int) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert client.recv(4096).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begun < 15


def test_a_client_that_leaves_and_a_crowd_harm_nobody(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    body = json.dumps(ASKED).encode()
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: post(port, body), range(200)))
    assert {status for status, _ in answers} == {200}
    assert len({json.dumps(answer) for _, answer in answers}) == 1


def test_serve_needs_a_model_and_a_free_port(port: int, tmp_path: Path) -> None:
    def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "section5_manage.py", "serve", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)

    none = serve("--port", "0", "--model", str(tmp_path / "none.json"))
    assert (none.returncode, "there is no model yet" in none.stderr) == (3, True)
    assert serve("--port", "65536").returncode == 2


def test_a_taken_port_is_said(port: int, trained: Artefact, tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    artefact.save(trained, model)
    command = [sys.executable, "section5_manage.py", "serve", "--port", str(port), "--model", str(model)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 5
    assert "cannot listen: Address already in use\n  Take another one: --port 8586" in done.stderr
