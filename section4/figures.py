"""The figures that the reporting view has of a country, for people without Grafana."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from section4.countries import Country

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class


class Day(NamedTuple):
    """One calendar day; None where the figure cannot be known."""

    day: date
    total: int | None
    cases: int | None
    mean_7_days: float | None


class Figures(NamedTuple):
    """A country's days in order, without a hole, and where they come from in words."""

    country: Country
    origin: str
    synthetic: bool
    days: list[Day]

    def known(self) -> list[Day]:
        """The days whose number of cases is known."""
        return [day for day in self.days if day.cases is not None]


def read(connection: Connection, countries: Iterable[Country]) -> list[Figures]:
    """The figures of those countries that have any."""
    found = []
    with connection.cursor() as cursor:
        for country in countries:
            cursor.execute(
                "select day, total, cases, mean_7_days::float8 from reporting.daily_cases "
                "where country_code = %s order by day",
                [country.code],
            )
            days = [Day(*row) for row in cursor.fetchall()]
            cursor.execute("select origin, kind from reporting.freshness where country_code = %s", [country.code])
            row = cursor.fetchone()
            if days and row:
                found.append(Figures(country, row[0], row[1] == "synthetic", days))
    return found


def legend(figures: Figures) -> dict[str, tuple[float, float, float, float]]:
    """Least, most, mean and last of the daily cases and of their 7-day mean, by the name of the line."""
    lines: dict[str, list[float]] = {
        "daily cases": [day.cases for day in figures.days if day.cases is not None],
        "7-day mean": [day.mean_7_days for day in figures.days if day.mean_7_days is not None],
    }
    return {
        name: (min(values), max(values), sum(values) / len(values), values[-1])
        for name, values in lines.items()
        if values
    }


def as_text(figures: Figures) -> str:
    """A summary for a terminal."""
    known = figures.known()
    missing = sum(day.total is None for day in figures.days)
    lines = [
        f"{figures.country.name}: {figures.origin}",
        f"  {figures.days[0].day} to {figures.days[-1].day}, {len(figures.days) - missing:,} days, "
        f"{missing:,} missing; last total {figures.days[-1].total:,}",
    ]
    if known:
        most = max(known, key=lambda day: day.cases or 0)
        lines.append(
            f"  {sum(day.cases == 0 for day in known):,} days without a case, "
            f"{sum((day.cases or 0) < 0 for day in known):,} negative, most {most.cases:,} on {most.day}"
        )
    lines.append(f"  {'':<12}{'min':>12}{'max':>12}{'avg':>12}{'current':>12}")
    for name, values in legend(figures).items():
        lines.append(f"  {name:<12}" + "".join(f"{value:>12,.0f}" for value in values))
    return "\n".join(lines)
