"""The dashboard's main panel without Grafana: a picture, and a page that needs nothing beside it."""

from __future__ import annotations

import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

from batch.publish import write_file
from section4.figures import Figures, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINE, BARS, GAP = "#1f60c4", "#ffb357", "#e02f44"

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ font: 16px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }}
  svg {{ width: 100%; height: auto }}
  .synthetic {{ background: #e02f44; color: white; padding: .5em 1em }}
  td, th {{ text-align: right; padding: .2em 1em }}
  th:first-child {{ text-align: left }}
</style>
<h1>{title}</h1>
<p{mark}>{origin}</p>
{drawing}
<table>
<tr><th></th><th>min</th><th>max</th><th>avg</th><th>current</th></tr>
{rows}
</table>
</html>
"""


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Write `{slug}.html` and `{slug}.png` into the folder, each whole or not at all; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = _figure(figures)
    pages = {".html": _page(figures, _saved(figure, "svg").decode()), ".png": _saved(figure, "png")}
    paths = []
    for suffix, data in pages.items():
        paths.append(folder / f"{figures.country.slug}{suffix}")
        write_file(paths[-1], data)
    return paths


def _figure(figures: Figures) -> Figure:
    """The mean as bars, the daily cases as a line over them, gaps and shrunk totals marked; no line spans a gap."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams |= {"svg.hashsalt": "section4", "svg.fonttype": "none", "path.simplify": False}
    from matplotlib.figure import Figure

    nothing = float("nan")
    days = [day.day for day in figures.days]
    cases = [nothing if day.cases is None else day.cases for day in figures.days]
    means = [nothing if day.mean_7_days is None else day.mean_7_days for day in figures.days]
    figure = Figure(figsize=(14, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(days, means, step="mid", color=BARS, linewidth=0, label="7-day mean")  # type: ignore[arg-type]
    axes.plot(days, cases, color=LINE, linewidth=0.8, label="daily cases")  # type: ignore[arg-type]
    for day in figures.days:
        if day.total is None:
            axes.axvspan(day.day, day.day, color=GAP, alpha=0.5, linewidth=1)  # type: ignore[arg-type]
    shrunk = [day for day in figures.known() if (day.cases or 0) < 0]
    if shrunk:
        axes.plot([day.day for day in shrunk], [day.cases for day in shrunk], "v", color=GAP, label="the total shrank")  # type: ignore[arg-type]
    axes.set_ylabel("cases a day")
    axes.set_title(f"{figures.country.name}, {figures.origin}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.01)
    axes.legend()
    return figure


def _saved(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}  # the same figures give the same bytes
    figure.savefig(buffer, format=kind, dpi=100, metadata=metadata)
    return buffer.getvalue()


def _page(figures: Figures, drawing: str) -> bytes:
    rows = "\n".join(
        f"<tr><th>{name}</th>{''.join(f'<td>{value:,.0f}</td>' for value in values)}</tr>"
        for name, values in legend(figures).items()
    )
    page = _PAGE.format(
        title=html.escape(f"COVID-19 cases in {figures.country.name}"),
        origin=html.escape(figures.origin),
        mark=' class="synthetic"' if figures.synthetic else "",
        drawing=drawing[drawing.index("<svg") :],
        rows=rows,
    )
    return page.encode()
