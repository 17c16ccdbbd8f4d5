"""The notebook runs from its source within two minutes and gives what is committed."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="needs the notebook category of Pipfile.lock")

from section5 import report
from section5.settings import Settings


def texts(notebook: dict[str, Any]) -> list[str]:
    """What the cells have printed and displayed, pictures aside."""
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            plain = output.get("text", "") or output["data"].get("text/plain", "")
            if "Styler" not in "".join(plain):  # its text is an address
                found.append("".join(plain))
            html = "".join(output.get("data", {}).get("text/html", ""))
            found += re.findall(r"<td[^>]*>(.*?)</td>", html)
    return found


def committed(chosen: Settings, suffix: str) -> Path:
    return chosen.path("report").with_suffix(suffix)


def test_the_source_is_the_committed_notebook(chosen: Settings) -> None:
    source = report.source(committed(chosen, ".py"))
    notebook = json.loads(committed(chosen, ".ipynb").read_text())
    assert ["".join(cell["source"]) for cell in notebook["cells"]] == [cell["source"] for cell in source.cells]
    assert not [
        output for cell in notebook["cells"] for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]


def test_the_page_is_small_and_needs_nothing_from_elsewhere(chosen: Settings) -> None:
    page = committed(chosen, ".html").read_text()
    assert len(page.encode()) < 1_000_000
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["']https?://""", page)
    assert page.count("data:image/png;base64,") >= 7
    for word in ("35.76", "1.1697", "OUTSIDE the data", "counting: accuracy 0.60"):
        assert word in page


@pytest.mark.full
def test_it_runs_and_gives_what_is_committed(chosen: Settings) -> None:
    begun = time.monotonic()
    notebook = report.executed(report.source(committed(chosen, ".py")))
    assert time.monotonic() - begun < 120
    assert texts(notebook) == texts(json.loads(committed(chosen, ".ipynb").read_text()))
