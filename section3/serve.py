"""Serve the built pages on a port of this machine, in the background."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time

from batch.errors import BusyError, ConfigError, EngineError
from section3.pages import FOLDER, SITE

STATE = FOLDER / "state" / "server.json"
PORT = "SECTION3_PORT"
DEFAULT_PORT = 8703


def port() -> int:
    """The port to serve on. Raises ConfigError when SECTION3_PORT is none."""
    text = os.environ.get(PORT, str(DEFAULT_PORT))
    if not (text.isdecimal() and 1024 <= int(text) <= 65535):
        raise ConfigError(f"{PORT}={text} is no port; take one from 1024 to 65535, for example {DEFAULT_PORT}")
    return int(text)


def running() -> int | None:
    """The port of the server that `start` started, while it answers with our pages."""
    try:
        state = json.loads(STATE.read_text())
        os.kill(state["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return state["port"] if answers(state["port"]) else None


def answers(number: int) -> bool:
    """Whether our page is served on this port."""
    connection = http.client.HTTPConnection("127.0.0.1", number, timeout=2)
    try:
        connection.request("GET", "/index.html")
        answer = connection.getresponse()
        return answer.status == 200 and b"Section 3" in answer.read(400)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def start() -> str:
    """Start the server, unless it runs; returns its address once it answers.

    Raises BusyError when another program has the port, EngineError when the server does not answer.
    """
    if found := running():
        return f"http://127.0.0.1:{found}/"
    number = port()
    command = [sys.executable, "-m", "http.server", str(number), "--bind", "127.0.0.1", "--directory", str(SITE)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and server.poll() is None:
        if answers(number) and server.poll() is None:
            STATE.parent.mkdir(parents=True, exist_ok=True)
            STATE.write_text(json.dumps({"pid": server.pid, "port": number}))
            return f"http://127.0.0.1:{number}/"
        time.sleep(0.05)
    if server.poll() is None:
        server.terminate()
        raise EngineError("the server does not answer", where=f"127.0.0.1:{number}")
    hint = f"Serve on another one, for example {PORT}={number + 1} sh section3_runner.sh start"
    raise BusyError(f"port {number} is taken", hint=hint)


def stop() -> bool:
    """Stop the server; returns whether there was one."""
    found = running()
    if found:
        os.kill(json.loads(STATE.read_text())["pid"], signal.SIGTERM)
        give_up = time.monotonic() + 10
        while answers(found) and time.monotonic() < give_up:
            time.sleep(0.05)
    STATE.unlink(missing_ok=True)
    return found is not None
