"""Log lines: one JSON object a line with the run's id where nobody watches, readable on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

CODE = """
from batch import logs
logs.configure()
logs.configure("RUN")
logs.log.info("it has %d\\nlines", 2, extra={"figures": {"rows": 3}})
"""


def test_json_lines() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {"level": "info", "run_id": "RUN", "message": "it has 2\nlines", "rows": 3}
    assert done.stdout == ""


def test_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", CODE], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 1000).decode()
    os.close(ours)
    assert "INFO    it has 2" in shown
    assert "{" not in shown
