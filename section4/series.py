"""A country's cumulative totals: one row per day, in order, with what is odd about them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, NamedTuple

import msgspec

from batch.errors import DataError

FIRST_DAY = date(2019, 12, 1)
"""No figure is older than the disease."""
MOST = 10_000_000_000
"""No total is larger than mankind."""

Total = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
"""All cases confirmed up to the end of a day."""


class Row(NamedTuple):
    """The cumulative total at the end of a day (UTC)."""

    day: date
    total: int


class Series(NamedTuple):
    """Rows in order, one per day.

    `duplicates` are rows that were given again and left out; `missing` are days between the first and the last that
    have no row; `shrunk` are days on which the total is smaller than on the day before.
    """

    rows: list[Row]
    duplicates: int
    missing: int
    shrunk: int

    @property
    def first(self) -> date:
        """The first day."""
        return self.rows[0].day

    @property
    def last(self) -> date:
        """The last day."""
        return self.rows[-1].day


def ordered(rows: Iterable[Row], now: datetime) -> Series:
    """Put a response's rows in order and see that they can be a series of totals.

    Raises DataError when there is no row, when a day has two different totals, when a day lies in the future or before
    the disease, and when a total is not a number of people. Gaps and totals that shrink are counted, not refused.
    """
    totals: dict[date, int] = {}
    duplicates = 0
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)  # it has begun already in the east
    for day, total in rows:
        if not FIRST_DAY <= day <= tomorrow:
            raise DataError(f"a row is about {day}, which cannot be: days go from {FIRST_DAY} to {tomorrow}")
        if not 0 <= total <= MOST:
            raise DataError(f"the total of {day} is {total}, which is no number of people")
        if totals.setdefault(day, total) != total:
            raise DataError(
                f"{day} has two different totals, {totals[day]:,} and {total:,}",
                hint="Which one is right cannot be known. A country given by provinces has an address of its own for "
                "the country's totals.",
            )
        duplicates += 1
    if not totals:
        raise DataError("the answer holds no row")
    kept = [Row(day, totals[day]) for day in sorted(totals)]
    pairs = list(itertools.pairwise(kept))
    return Series(
        rows=kept,
        duplicates=duplicates - len(kept),
        missing=sum((after.day - before.day).days - 1 for before, after in pairs),
        shrunk=sum(after.total < before.total for before, after in pairs if (after.day - before.day).days == 1),
    )


def is_complete(day: date, now: datetime, settle_hours: float) -> bool:
    """Whether a day's total is final as far as the clock can tell: `settle_hours` after the day's end in UTC."""
    end = datetime.combine(day, time(), UTC) + timedelta(days=1)
    return now >= end + timedelta(hours=settle_hours)
