"""The simulation's tables in Markdown, as they stand in the page."""

from __future__ import annotations

from section3.charts import dollars
from section3.outcome import Outcome, Rate
from section3.settings import Prices
from section3.simulate import Result


def _table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def seconds(value: float) -> str:
    """Two figures of a time."""
    return f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def capacity(outcome: Outcome) -> str:
    """What each rate needs and gives."""

    def row(what: str, figure: object) -> list[str]:
        return [what, *(figure(rate) for rate in outcome.rates)]  # type: ignore[operator]

    def per_cell(rate: Rate, text: str) -> str:
        return text if rate.cells == 1 else f"{rate.cells} x {text}"

    head = ["images a second", *(f"{rate.result.rate:,.0f}" for rate in outcome.rates)]
    rows = [
        row(
            "how",
            lambda r: "simulated" if r.cells == 1 else f"scaled: {r.cells} cells of {r.result.rate / r.cells:,.0f}",
        ),
        row("latency, median", lambda r: seconds(r.result.latency["p50"])),
        row("latency, 95 %, with the burst", lambda r: seconds(r.result.latency["p95"])),
        row("latency, 99 %, with the burst", lambda r: seconds(r.result.latency["p99"])),
        row("largest backlog, images", lambda r: f"{r.result.backlog:,}"),
        row("drained after the burst's end in", lambda r: f"{r.result.drained:.0f} s"),
        row("attempts for an image", lambda r: f"{r.result.attempts:.4f}"),
        row("`workers`: least", lambda r: per_cell(r, f"{r.result.tasks_least // r.cells:,}")),
        row("tasks in the burst, at most", lambda r: per_cell(r, f"{r.result.tasks_most // r.cells:,}")),
        row("`brokers`: count, GB each", lambda r: per_cell(r, f"{r.brokers.count}, {r.brokers.gigabytes:,}")),
        row("images stored, mean", lambda r: f"{r.stored.images / 1e6:,.0f} million"),
        row("bytes stored, mean", lambda r: f"{r.stored.bytes / 1e12:,.1f} TB"),
        row(
            "an image is stored, mean (most)",
            lambda r: f"{r.stored.kept_days:.1f} ({r.stored.kept_days_most:.1f}) days",
        ),
    ]
    return _table(head, rows)


def bill(outcome: Outcome, prices: Prices) -> str:
    """The bill of a month by component."""
    head = [f"USD a month ({prices.region}, {prices.as_of})", *(f"{r.result.rate:,.0f}/s" for r in outcome.rates)]
    rows = []
    for component in dict.fromkeys(line.component for line in outcome.rates[0].bill):
        sums = [sum(line.usd for line in rate.bill if line.component == component) for rate in outcome.rates]
        rows.append([component, *map(dollars, sums)])
    rows.append(["**all**", *(f"**{dollars(rate.usd)}**" for rate in outcome.rates)])
    images = [rate.usd / (rate.result.rate * 3600 * 730) * 1e6 for rate in outcome.rates]
    rows.append(["a million images", *(f"${usd:.2f}" for usd in images)])
    return _table(head, rows)


def sources(prices: Prices) -> str:
    """How many prices were compared with a copy of the list, and which were not."""
    months = [price.checked.split()[1] for price in prices.prices.values() if price.checked]
    unchecked = [name.replace("_", " ") for name, price in prices.prices.items() if not price.checked]
    return (
        f"{len(months)} of the {len(prices.prices)} prices were compared with public copies of AWS's list, from\n"
        f"{min(months)} to {max(months)}, and are equal: `checked` in the table names the copy and its month.\n"
        f"Not compared, or not in full: {', '.join(unchecked)}."
    )


def scaling(outcome: Outcome) -> str:
    """Cells fed from one stream beside one cell scaled up."""

    def row(what: str, of: object, text: str) -> list[str]:
        routed, scaled = of(outcome.routed), of(outcome.scaled)  # type: ignore[operator]
        return [what, text.format(routed), text.format(scaled), f"{100 * (scaled / routed - 1):+.1f} %"]

    def latency(name: str) -> object:
        return lambda result: result.latency[name]

    rate = outcome.scaled.rate
    head = [f"{rate:,.0f} images a second", "ten cells, one stream split", "one cell, times ten", "difference"]
    rows = [row(f"latency {name}", latency(name), "{:.2f} s") for name in ("p50", "p95", "p99")]
    fields = (
        ("largest backlog", "backlog", "{:,.0f}"),
        ("tasks, mean", "tasks_mean", "{:,.1f}"),
        ("images", "images", "{:,}"),
    )
    rows += [row(what, lambda result, field=field: getattr(result, field), text) for what, field, text in fields]
    return _table(head, rows)


def line(result: Result, usd: float) -> str:
    """One rate in one line, for a terminal."""
    times = ", ".join(f"{name} {seconds(value)}" for name, value in result.latency.items())
    counts = f"backlog {result.backlog:,}; {result.tasks_least:,} tasks; {dollars(usd)} a month"
    return f"{result.rate:>9,.0f}/s  {times}; {counts}"
