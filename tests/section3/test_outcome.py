"""The whole simulation on a small workload: its figures, its tables in the page, its charts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from batch.errors import DataError
from section3 import charts, outcome, pages, settings, tables
from section3.outcome import Outcome

ROOT = Path(__file__).parent.parent.parent
SMALL = msgspec.structs.replace(
    settings.workload(),
    rates=[2.0, 10.0, 100.0],
    cell_rate=10.0,
    check=settings.Check(cells=3, rate=5.0),
)


@pytest.fixture(scope="module")
def small() -> Outcome:
    return outcome.calculate(SMALL, settings.prices())


def test_a_rate_above_one_cell_is_scaled_from_it(small: Outcome) -> None:
    two, cell, cells = small.rates
    assert (two.cells, cell.cells, cells.cells) == (1, 1, 10)
    assert cells.result.latency == cell.result.latency
    assert cells.result.backlog == 10 * cell.result.backlog
    assert cells.result.rate == 100 and cells.stored.rate == 100
    assert cell.usd < cells.usd <= 10 * cell.usd
    assert cells.brokers == cell.brokers


def test_the_check_compares_the_same_load(small: Outcome) -> None:
    assert small.routed.rate == small.scaled.rate == 15
    assert small.routed.images == pytest.approx(small.scaled.images, rel=0.05)


def test_a_second_calculation_is_the_same(small: Outcome) -> None:
    assert outcome.calculate(SMALL, settings.prices()) == small


def test_the_tables_have_a_column_for_each_rate(small: Outcome) -> None:
    parts = pages.parts(small, settings.prices())
    for name in ("capacity", "cost"):
        widths = {line.count("|") for line in parts[name].splitlines() if line.startswith("|")}
        assert widths == {5}, name
    page = pages.fill(pages.PAGE.read_text(), parts)
    assert "scaled: 10 cells of 10" in page and pages.is_current(page)
    assert pages.fill(page, parts) == page


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(DataError, match="there is no place for `cost`"):
        pages.fill("# Page\n", {"cost": "x"})


def test_charts_are_the_same_every_time(small: Outcome, tmp_path: Path) -> None:
    drawn = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        drawn.append([path.read_bytes() for path in charts.draw(small, folder)])
    assert drawn[0] == drawn[1]
    assert all(ElementTree.fromstring(svg).tag.endswith("svg") for svg in drawn[0])


@pytest.mark.parametrize(
    ("usd", "text"), [(3.7, "$4"), (432.1, "$432"), (1716, "$1,720"), (93_216, "$93,200"), (8_338_134, "$8.34 million")]
)
def test_a_bill_is_said_in_three_figures(usd: float, text: str) -> None:
    assert charts.dollars(usd) == text


def test_a_line_for_a_terminal(small: Outcome) -> None:
    assert tables.line(small.rates[0].result, 1716).strip().startswith("2/s  p50 1.")


@pytest.mark.full
def test_run_says_where_everything_is() -> None:
    command = [sys.executable, "section3_manage.py"]
    done = subprocess.run([*command, "run"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    for path in (word.rstrip(",") for word in done.stdout.split() if word.startswith("section3/")):
        assert (ROOT / path).exists(), path
    told = json.loads((ROOT / "section3" / "resource" / "dest" / "simulation.json").read_text())
    assert [rate["result"]["rate"] for rate in told["rates"]] == settings.workload().rates
    assert os.path.getsize(ROOT / "section3" / "resource" / "dest" / "site" / "index.html") > 10_000
