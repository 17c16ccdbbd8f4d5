"""Dates that are never guessed: the day/month order of each written shape is declared, or learnt from a batch.

A shape is a date's text with every digit written as 9. Within one batch a shape comes from one source, so it has
one order; the rows that can be read in only one way prove which (`25/12/1999` must be day first).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from batch.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Ints = np.ndarray[Any, np.dtype[Any]]

STATUSES = ("ok", "unreadable", "ambiguous")
OK, UNREADABLE, AMBIGUOUS = range(3)
EPOCH = date(1970, 1, 1).toordinal()
_COMMON, _LEAP, _NO_YEAR = 0, 10_000, 20_000  # kinds of years, by where their parts of a table begin


class Shape(msgspec.Struct, frozen=True):
    """Where the parts of a shape stand: positions of the year's four digits and of the two two-digit groups."""

    text: str
    year: tuple[int, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]


def parse_shape(text: str) -> Shape:
    """Understand a shape such as `99/99/9999`. Raises ConfigError when it has not one year and two other parts."""
    groups = [tuple(range(*match.span())) for match in re.finditer("9+", text)]
    years = [group for group in groups if len(group) == 4]
    others = [group for group in groups if len(group) == 2]
    if len(groups) != 3 or len(years) != 1 or len(others) != 2 or not text.isascii():
        raise ConfigError(
            f"`{text}` is not the shape of a date",
            hint="Write each digit as 9, the year with four and the others with two, such as 99/99/9999.",
        )
    return Shape(text, years[0], others[0], others[1])


class Evidence(msgspec.Struct):
    """How many rows of one shape can be read in which way; the six kinds add up to `rows`."""

    month_first: int = 0
    day_first: int = 0
    either: int = 0
    same: int = 0
    impossible: int = 0

    @property
    def rows(self) -> int:
        """All rows of the shape."""
        return self.month_first + self.day_first + self.either + self.same + self.impossible

    def add(self, other: Evidence) -> None:
        """Count another part of the same batch in."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Decision(msgspec.Struct, frozen=True):
    """How one shape is read in one batch: its order (empty: ambiguous rows are rejected), and why."""

    order: str
    basis: str
    evidence: Evidence

    def reads_like(self, other: Decision) -> bool:
        """Whether both read every row that this decision's evidence has seen in the same way."""
        return self.order == other.order or not self.evidence.either

    def explain(self, shape: str) -> str:
        """One sentence for the run report."""
        seen = self.evidence
        proof = f"month-first {seen.month_first:,} : {seen.day_first:,} day-first"
        rest = f"{seen.either:,} either, {seen.same:,} the same, {seen.impossible:,} impossible"
        order = self.order.replace("_", "-") or "rows that can be read in both ways are rejected as ambiguous_date"
        return f"{shape}: {order}, {self.basis} ({proof}; {rest})"


def decide(declared: str, fallback: str, evidence: Evidence) -> Decision:
    """The order of one shape in one batch: as declared, else as proven, else the fallback."""
    if declared != "infer":
        return Decision(declared, "declared", evidence)
    match bool(evidence.month_first), bool(evidence.day_first):
        case True, False:
            return Decision("month_first", "inferred", evidence)
        case False, True:
            return Decision("day_first", "inferred", evidence)
        case both, _:
            basis = "fallback, as both orders are proven" if both else "fallback, as no row proves an order"
            return Decision("" if fallback == "reject" else fallback, basis, evidence)


class Reading(NamedTuple):
    """The rows of one shape: their places, the year, and the place of the date in tables of all that may be written.

    Such a table is 100 * the first number + the second one long, once for each kind of year.
    """

    shape: str
    rows: Ints
    year: Ints
    written: Ints


def readings(values: pa.StringArray, shapes: list[Shape]) -> list[Reading]:
    """What the rows of each shape that occurs can be read as."""
    _, kinds = _years()
    return [
        Reading(shape.text, rows, year, kinds.take(year) + parts) for shape, rows, year, parts in _parts(values, shapes)
    ]


def evidence(found: list[Reading]) -> dict[str, Evidence]:
    """Count what the rows of each shape prove."""
    import numpy as np

    kinds = len(Evidence.__struct_fields__)
    counts = {reading.shape: np.bincount(_proofs().take(reading.written), minlength=kinds) for reading in found}
    return {shape: Evidence(*map(int, rows)) for shape, rows in counts.items()}


def read(count: int, found: list[Reading], decisions: dict[str, Decision]) -> tuple[Ints, Ints]:
    """The dates of `count` rows: days since 1970-01-01 (0 where there is none) and the position in STATUSES, per row.

    A declared order is the only one tried. Otherwise a row that can be read in one way only is read that way,
    and one that can be read in both follows the decision or is ambiguous.
    """
    import numpy as np

    days = np.zeros(count, dtype=np.int32)
    status = np.full(count, UNREADABLE, dtype=np.int8)
    first_days, _ = _years()
    for shape, rows, year, written in found:
        decision = decisions[shape]
        of_year = _days(decision.order, decision.basis == "declared").take(written)
        days[rows] = np.where(of_year < 0, 0, first_days.take(year) + of_year)
        status[rows] = -np.minimum(of_year, OK)
    return days, status


def _parts(values: pa.StringArray, shapes: list[Shape]) -> Iterator[tuple[Shape, Ints, Ints, Ints]]:
    """For each shape that occurs: its row numbers, and of those rows the year and 100 * first + second number."""
    import numpy as np

    buffers = values.buffers()
    if len(values) == 0 or buffers[2] is None:
        return
    offsets = np.frombuffer(buffers[1], dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(buffers[2], dtype=np.uint8)
    lengths = np.diff(offsets)
    for length in {len(shape.text) for shape in shapes}:
        rows = np.flatnonzero(lengths == length)
        if len(rows) == len(values):
            characters = data[offsets[0] : offsets[-1]].reshape(-1, length)
        else:
            characters = data[offsets[rows][:, None] + np.arange(length)]
        characters = np.ascontiguousarray(characters.T)  # a row for each position
        digits = characters - np.uint8(ord("0"))
        numeric = digits < 10
        numbers = {}  # by the positions of their digits, which shapes have in common
        for shape in (s for s in shapes if len(s.text) == length):
            fits = np.ones(len(rows), dtype=bool)
            for position, character in enumerate(shape.text):
                fits &= numeric[position] if character == "9" else characters[position] == ord(character)
            # Numbers are made of all rows, and taken by place: that is faster than to choose digits by a mask.
            if len(places := np.flatnonzero(fits)):
                for part in (shape.year, parts := shape.first + shape.second):
                    if part not in numbers:
                        numbers[part] = _number(digits, part)
                yield shape, rows[places], numbers[shape.year][places], numbers[parts][places]


def _number(digits: Ints, positions: tuple[int, ...]) -> Ints:
    import numpy as np

    number = digits[positions[0]].astype(np.int16)
    for position in positions[1:]:
        number *= np.int16(10)
        number += digits[position]
    return np.asarray(number)


@cache
def _years() -> tuple[Ints, Ints]:
    """For each year from 0 to 9999, its first day since 1970-01-01, and where the tables for its kind begin.

    The calendar is the proleptic Gregorian one from the year 1 on; the year 0 has no days.
    """
    import numpy as np

    first = np.arange("0000", "10001", dtype="M8[Y]").astype("M8[D]").astype(np.int32)
    kinds = np.where(np.diff(first) == 366, _LEAP, _COMMON).astype(np.int16)
    kinds[0] = _NO_YEAR
    return first[:-1], kinds


@cache
def _month_first() -> Ints:
    """For each kind of year, first and second number, the day of the year from 0 on, or -1 where there is none."""
    import numpy as np

    days = np.full(3 * 100 * 100, -UNREADABLE, np.int16)
    for start, year in ((_COMMON, 2001), (_LEAP, 2000)):
        for ordinal in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()):
            day = date.fromordinal(ordinal)
            days[start + 100 * day.month + day.day] = ordinal - date(year, 1, 1).toordinal()
    return days


@cache
def _day_first() -> Ints:
    """The same where the second number is the month."""
    import numpy as np

    return np.asarray(_month_first().reshape(3, 100, 100).swapaxes(1, 2).ravel())


@cache
def _proofs() -> Ints:
    """For each kind of year, first and second number, which field of Evidence it counts for."""
    import numpy as np

    month_first, day_first = _month_first() >= 0, _day_first() >= 0
    same = np.equal(_month_first(), _day_first())
    kinds = Evidence.__struct_fields__
    conditions = {
        "same": month_first & same,
        "either": month_first & day_first,
        "month_first": month_first,
        "day_first": day_first,
    }
    return np.select(list(conditions.values()), [kinds.index(kind) for kind in conditions], kinds.index("impossible"))


@cache
def _days(order: str, declared: bool) -> Ints:
    """The day of the year that a decision reads, or minus the position in STATUSES where it reads none."""
    import numpy as np

    month_first, day_first = _month_first(), _day_first()
    orders = {"month_first": month_first, "day_first": day_first}
    if declared:
        return orders[order]
    either = _proofs() == Evidence.__struct_fields__.index("either")
    return np.where(either, orders.get(order, -AMBIGUOUS), np.maximum(month_first, day_first)).astype(np.int16)
