"""The notebook: executed from its source, and written as .ipynb and as a page that needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.errors import EngineError, InputError, PublishError
from batch.progress import progress
from section5 import artefact, job
from section5.settings import ROOT, Settings

if TYPE_CHECKING:
    from nbformat import NotebookNode

SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)  # for formulas and diagrams, of which there are none
PATIENCE = 120  # seconds for one cell


def write(settings: Settings) -> tuple[str, Any]:
    """Execute the source and write both files, in place of the ones that are there."""
    base = settings.path("report")
    notebook = executed(source(base.with_suffix(".py")))
    files = {base.with_suffix(".ipynb"): as_json(notebook), base.with_suffix(".html"): page(notebook)}
    for path, raw in files.items():
        try:
            artefact.write(path, raw)
        except OSError as error:
            raise PublishError(f"cannot write the report: {error.strerror}", where=str(path)) from error
    return f"wrote {' and '.join(map(job.shown, files))}", {"files": [str(path) for path in files]}


def source(path: Path) -> NotebookNode:
    """The notebook without results, from its source in jupytext's percent format."""
    import jupytext

    try:
        notebook: NotebookNode = jupytext.read(path)
    except OSError as error:
        raise InputError(f"cannot read the notebook's source: {error.strerror}", where=str(path)) from error
    notebook.metadata = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # a random one would differ each time
    return notebook


def executed(notebook: NotebookNode) -> NotebookNode:
    """Run all cells. Raises EngineError with the cell that failed."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    with progress("notebook", len(notebook.cells), unit=" cells") as bar:
        client = NotebookClient(
            notebook,
            timeout=PATIENCE,
            record_timing=False,
            extra_arguments=["--Application.log_level=ERROR"],
            resources={"metadata": {"path": str(ROOT / "section5")}},
            on_cell_complete=lambda cell, cell_index: bar.update(1),
        )
        try:
            client.execute(env=environment)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise EngineError(f"the notebook failed:\n{error}", where="section5/car_buy_price_prediction.py") from error
    metadata = notebook.metadata["language_info"]
    notebook.metadata["language_info"] = {"name": metadata["name"]}  # not the version of this Python
    return notebook


def as_json(notebook: NotebookNode) -> bytes:
    """The .ipynb."""
    import nbformat

    text: str = nbformat.writes(notebook)
    return text.encode() + b"\n"


def page(notebook: NotebookNode) -> bytes:
    """The notebook as HTML, with its pictures inside and no script or style from another place."""
    from nbconvert import HTMLExporter

    text, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": "Car prices"}})
    return SCRIPT.sub("", text).encode()
