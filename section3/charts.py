"""The simulation's charts, as SVG that is the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from section3.outcome import Outcome

CHARTS = {
    "backlog": "Backlog and tasks through a burst of twice the rate",
    "latency": "Latency from the first byte to the catalogue",
    "cost": "The monthly bill by component",
}


def name(chart: str) -> str:
    """The file of a chart."""
    return f"section3_{chart}_chart.svg"


def draw(outcome: Outcome, folder: Path) -> list[Path]:
    """Write the charts into a folder; returns their files."""
    import matplotlib

    matplotlib.use("svg")
    style: Any = {"svg.hashsalt": "section3", "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3}
    matplotlib.rcParams.update(style | {"axes.spines.top": False, "axes.spines.right": False})
    from matplotlib import pyplot

    drawn = []
    for chart, drawing in (("backlog", _backlog), ("latency", _latency), ("cost", _cost)):
        figure, axes = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
        drawing(axes, outcome)
        axes.set_title(CHARTS[chart], loc="left", fontsize=11)
        drawn.append(folder / name(chart))
        figure.savefig(drawn[-1], metadata={"Date": None})
        pyplot.close(figure)
    return drawn


def _backlog(axes: Any, outcome: Outcome) -> None:
    result = max((rate.result for rate in outcome.rates if rate.cells == 1), key=lambda result: result.rate)
    minutes = [second / 60 for second in range(len(result.backlog_each_second))]
    axes.plot(minutes, result.backlog_each_second, color="tab:red", label="images that wait (left)")
    axes.set(xlabel="minutes", ylabel=f"images, at {result.rate:,.0f}/s")
    right = axes.twinx()
    right.plot(minutes, result.tasks_each_second, color="tab:blue", label="tasks (right)")
    right.set(ylabel="tasks", ylim=(0, None))
    right.grid(visible=False)
    axes.legend(handles=[*axes.lines, *right.lines], loc="upper right", frameon=False)


def _latency(axes: Any, outcome: Outcome) -> None:
    for result in (rate.result for rate in outcome.rates if rate.cells == 1):
        axes.plot(result.quantiles, range(101), label=f"{result.rate:,.0f}/s")
    axes.set(xscale="log", xlabel="seconds", ylabel="% of images within")
    axes.legend(loc="lower right", frameon=False)


def _cost(axes: Any, outcome: Outcome) -> None:
    names = [f"{rate.result.rate:,.0f}/s: {dollars(rate.usd)}" for rate in outcome.rates]
    left = [0.0] * len(names)
    for number, component in enumerate(dict.fromkeys(line.component for line in outcome.rates[0].bill)):
        shares = [
            100 * sum(line.usd for line in rate.bill if line.component == component) / rate.usd
            for rate in outcome.rates
        ]
        axes.barh(names, shares, left=left, label=component, color=f"C{number % 10}", hatch="//" * (number > 9))
        left = [before + share for before, share in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="% of the bill", xlim=(0, 100))
    axes.legend(bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


def dollars(usd: float) -> str:
    """Three figures are enough of a bill that is an estimate: 1,720 or 8.34 million."""
    if usd >= 1e6:
        return f"${usd / 1e6:.3g} million"
    scale = 10 ** max(0, len(str(int(usd))) - 3)
    return f"${round(usd / scale) * scale:,}"
