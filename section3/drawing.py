"""Diagrams as code: Mermaid files into the page and into SVGs, and whether those are up to date."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from batch.errors import EngineError

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "section3"
DIAGRAMS = ("context", "write", "read", "retention", "access")
MERMAID = "@mermaid-js/mermaid-cli@11.12.0"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CONFIG = {
    "theme": "neutral",
    "look": "classic",
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False, "curve": "basis"},
}


def source(name: str) -> str:
    """The Mermaid text of a diagram."""
    return (FOLDER / "diagrams" / f"{name}.mmd").read_text()


def picture(name: str) -> Path:
    """Where a diagram's SVG is."""
    return FOLDER / f"section3_{name}_architecture.svg"


def mark(name: str) -> str:
    """What an SVG says of the text that it was drawn from."""
    drawn_from = json.dumps([source(name), CONFIG, MERMAID])
    return f"<!-- drawn from diagrams/{name}.mmd, {hashlib.sha256(drawn_from.encode()).hexdigest()[:16]} -->"


def is_current(name: str) -> bool:
    """Whether the SVG was drawn from the text as it is now."""
    return picture(name).exists() and mark(name) in picture(name).read_text()


def labels(name: str) -> set[str]:
    """The names of a diagram's nodes and groups: the first line of each label."""
    return {label.split("<br/>")[0] for label in re.findall(r'[\[(]"([^"]+)"', source(name))}


def draw(name: str) -> None:
    """Draw one diagram with Mermaid. Raises EngineError that says what is missing."""
    npx = shutil.which("npx")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not npx or not browser:
        hint = "Install Node.js 20 and Chromium, for example: apt-get install npm chromium"
        raise EngineError(f"{'npx' if not npx else 'Chromium'} is needed to draw", where=f"{name}.mmd", hint=hint)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "config.json").write_text(json.dumps(CONFIG))
        arguments = ["--disable-gpu", "--disable-background-networking"] + ["--no-sandbox"] * (os.getuid() == 0)
        (work / "browser.json").write_text(json.dumps({"executablePath": browser, "args": arguments}))
        command = [
            npx,
            "--yes",
            MERMAID,
            "--quiet",
            "--configFile",
            "config.json",
            "--puppeteerConfigFile",
            "browser.json",
        ]
        command += ["--input", str(FOLDER / "diagrams" / f"{name}.mmd"), "--output", "out.svg"]
        env = os.environ | {"PUPPETEER_SKIP_DOWNLOAD": "1"}
        done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise EngineError(
                f"Mermaid could not draw it:\n{(done.stderr or done.stdout).strip()}", where=f"{name}.mmd"
            )
        text = (work / "out.svg").read_text()
    picture(name).write_text(f"{mark(name)}\n{text.strip()}\n")
