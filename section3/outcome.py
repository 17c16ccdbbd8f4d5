"""All that the simulation says: each rate's figures, storage and bill, and how far the scaling to cells holds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np

from batch.progress import progress
from section3 import cost, simulate, storage
from section3.cost import Brokers, Line
from section3.settings import CONF, Prices, Workload
from section3.simulate import Result
from section3.storage import Stored


class Rate(msgspec.Struct, frozen=True):
    """One size of the platform."""

    cells: int
    result: Result
    stored: Stored
    brokers: Brokers
    bill: list[Line]

    @property
    def usd(self) -> float:
        """A month."""
        return sum(line.usd for line in self.bill)


class Outcome(msgspec.Struct, frozen=True):
    """Everything; `routed` and `scaled` are the same load, simulated cell by cell and scaled up from one cell."""

    rates: list[Rate]
    routed: Result
    scaled: Result


def calculate(workload: Workload, prices: Prices) -> Outcome:
    """Simulate every rate up to one cell's image by image, and scale the larger ones from a cell."""
    check = workload.check
    simulated = sorted({min(rate, workload.cell_rate) for rate in workload.rates}, reverse=True)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        stacks = {rate: pool.submit(simulate.stack, workload, rate) for rate in simulated}
        cells = [pool.submit(_routed_cell, workload, cell) for cell in range(check.cells)]
        alone = pool.submit(simulate.stack, workload, check.rate, check.cells + 1)
        with progress("simulate", len(stacks) + len(cells) + 1, unit=" runs") as bar:
            for run in (*stacks.values(), *cells, alone):
                run.result()
                bar.update(1)
    done = {rate: run.result() for rate, run in stacks.items()}
    return Outcome(
        rates=[_rate(workload, prices, rate, done[min(rate, workload.cell_rate)]) for rate in workload.rates],
        routed=_together([run.result() for run in cells]),
        scaled=alone.result().times(check.cells),
    )


def _rate(workload: Workload, prices: Prices, rate: float, cell: Result) -> Rate:
    cells = round(rate / cell.rate)
    result, stored = cell.times(cells), storage.stored(workload, rate)
    bill = cost.bill(workload, prices, result, stored, cells)
    return Rate(cells, result, stored, cost.brokers(workload, cell.rate), bill)


def _routed_cell(workload: Workload, cell: int) -> Result:
    """One of the cells among which one stream of uploads is split, each customer's going to one cell."""
    check = workload.check
    random = np.random.default_rng([workload.seed, check.cells])
    began = simulate.arrivals(random, check.cells * check.rate, workload.horizon.seconds, workload.burst)
    to = random.integers(check.cells, size=len(began))
    return simulate.stack(workload, check.rate, cell, began[to == cell])


def _together(cells: list[Result]) -> Result:
    """Cells side by side: counts are added; times are means, as every cell has the same share of the images."""
    first = cells[0]
    change: dict[str, object] = {name: sum(getattr(cell, name) for cell in cells) for name in simulate.COUNTS}
    change["latency"] = {name: _mean(cell.latency[name] for cell in cells) for name in first.latency}
    change |= {name: _mean(getattr(cell, name) for cell in cells) for name in ("wait", "drained", "attempts")}
    return msgspec.structs.replace(first, **change)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def fingerprint() -> str:
    """Changes when anything does that the figures follow from."""
    code = [Path(module.__file__ or "") for module in (simulate, storage, cost)]
    files = [CONF / "section3_workload.yaml", CONF / "prices.yaml", *code, Path(__file__)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]
