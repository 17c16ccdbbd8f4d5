"""Dates that are never guessed: the day/month order of each written shape is declared, or learnt from a batch.

A shape is a date's text with every digit written as 9. Within one batch a shape comes from one source, so it has
one order; the rows that can be read in only one way prove which (`25/12/1999` must be day first).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
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
    """The rows of one shape: their places, their year, first and second number, and which orders give a date."""

    shape: str
    rows: Ints
    year: Ints
    first: Ints
    second: Ints
    month_first: Ints
    day_first: Ints


def readings(values: pa.StringArray, shapes: list[Shape]) -> list[Reading]:
    """What the rows of each shape that occurs can be read as."""
    return [
        Reading(shape.text, rows, year, first, second, _is_date(year, first, second), _is_date(year, second, first))
        for shape, rows, year, first, second in _parts(values, shapes)
    ]


def evidence(found: list[Reading]) -> dict[str, Evidence]:
    """Count what the rows of each shape prove."""
    proven = {}
    for shape, rows, _, first, second, month_first, day_first in found:
        both, same = month_first & day_first, first == second
        proven[shape] = Evidence(
            month_first=int((month_first & ~day_first).sum()),
            day_first=int((day_first & ~month_first).sum()),
            either=int((both & ~same).sum()),
            same=int((both & same).sum()),
            impossible=len(rows) - int((month_first | day_first).sum()),
        )
    return proven


def read(count: int, found: list[Reading], decisions: dict[str, Decision]) -> tuple[Ints, Ints]:
    """The dates of `count` rows: days since 1970-01-01 (0 where there is none) and the position in STATUSES, per row.

    A declared order is the only one tried. Otherwise a row that can be read in one way only is read that way,
    and one that can be read in both follows the decision or is ambiguous.
    """
    import numpy as np

    days = np.zeros(count, dtype=np.int32)
    status = np.full(count, UNREADABLE, dtype=np.int8)
    for shape, rows, year, first, second, *orders in found:
        decision = decisions[shape]
        tried = ("month_first", "day_first") if decision.basis != "declared" else (decision.order,)
        month_first, day_first = orders[0] & ("month_first" in tried), orders[1] & ("day_first" in tried)
        undecided = month_first & day_first & (first != second)
        as_day_first = day_first & ~(month_first & (decision.order != "day_first"))
        month, day = np.where(as_day_first, second, first), np.where(as_day_first, first, second)
        readable = month_first | day_first
        if not decision.order:
            readable &= ~undecided
            status[rows[undecided]] = AMBIGUOUS
        days[rows[readable]] = _days(year[readable], month[readable], day[readable])
        status[rows[readable]] = OK
    return days, status


def _parts(values: pa.StringArray, shapes: list[Shape]) -> Iterator[tuple[Shape, Ints, Ints, Ints, Ints]]:
    """For each shape that occurs: its row numbers, and year, first and second number of those rows."""
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
        for shape in (s for s in shapes if len(s.text) == length):
            fits = np.ones(len(rows), dtype=bool)
            for position, character in enumerate(shape.text):
                fits &= numeric[position] if character == "9" else characters[position] == ord(character)
            # Numbers are made of all rows, and taken by place: that is faster than to choose digits by a mask.
            if len(places := np.flatnonzero(fits)):
                numbers = (_number(digits, part)[places] for part in (shape.year, shape.first, shape.second))
                yield (shape, rows[places], *numbers)  # type: ignore[misc]


def _number(digits: Ints, positions: tuple[int, ...]) -> Ints:
    import numpy as np

    number = digits[positions[0]].astype(np.int16)
    for position in positions[1:]:
        number *= np.int16(10)
        number += digits[position]
    return np.asarray(number)


@lru_cache
def _calendar() -> tuple[Ints, Ints]:
    """For each month of the years 1 to 9999 (proleptic Gregorian), its first day since 1970-01-01 and its length."""
    import numpy as np

    first = np.arange("0001-01", "10000-02", dtype="M8[M]").astype("M8[D]").astype(np.int32)
    return first[:-1], np.diff(first)


def _is_date(year: Ints, month: Ints, day: Ints) -> Ints:
    """Whether there is a date with these parts, in the years 1 to 9999."""
    import numpy as np

    known = (year >= 1) & (month >= 1) & (month <= 12)
    _, lengths = _calendar()
    return np.asarray(known & (day >= 1) & (day <= lengths[np.where(known, _place(year, month), 0)]))


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Days since 1970-01-01."""
    import numpy as np

    first, _ = _calendar()
    return np.asarray(first[_place(year, month)] + (day - 1))


def _place(year: Ints, month: Ints) -> Ints:
    """Where a month stands in the calendar."""
    import numpy as np

    return np.asarray(year.astype(np.int32) * 12 + month - 13)
