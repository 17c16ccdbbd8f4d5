"""What DuckDB gets of the judging statement: what is left when all that can be had cheaper is taken out of it.

What depends on one date alone is the same for all records with that date, of which there are few. And Arrow tests input
columns by regular expressions with the same library as DuckDB, in half the time.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from section1.query import DIALECT

if TYPE_CHECKING:
    from sqlglot import exp

READINGS = "readings"  # the view of the statements on the readings of one date
ADDED = ("source_file", "record_number")
DATE_COLUMNS = ("date", "ymd", "digest", "status")
NOT = "not "  # before the name of a match: that there is none


class Match(NamedTuple):
    """Whether an input column matches a regular expression: a column that is made before an engine judges."""

    name: str
    column: str
    pattern: str


class Query(msgspec.Struct, frozen=True):
    """A statement in DuckDB's dialect, the columns that it reads, and where it says what was asked: columns by name.

    Those that are in neither its result nor its view were taken out of it. It is empty where all were.
    """

    sql: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]


class Parts(msgspec.Struct, frozen=True):
    """A query in parts, each of which may read columns of those before it.

    `readings` has, for each date, what follows from it alone, on a view of that date's columns. The groups read the
    input's columns, the dates', the matches and what follows from a date.
    """

    matches: tuple[Match, ...]
    readings: dict[str, Query]
    groups: tuple[Query, ...]


def for_duckdb(query: str, inputs: list[str], dates: list[str], groups: list[dict[str, str]]) -> Parts:
    """Split a checked query, and expressions on its result by the names of the columns that they make.

    Checked means that it is one chain of steps, each of which passes the input's columns on as they are. So the name of
    an input column, or of a column that only one step makes, says what it is wherever it stands.
    """
    import sqlglot
    from sqlglot import exp

    made = ", ".join(f"{sql} as {name}" for group in groups for name, sql in group.items())
    text = f"with derived as ({query}\n), judged as (select *, {made} from derived) select * from judged"
    tree = sqlglot.parse_one(text, dialect=DIALECT)
    assert isinstance(tree, exp.Select)
    judged = tree.ctes[-1].this
    matches = _matches(tree, inputs)
    columns = _readings(tree, dates)
    taken_out = [*(match.name for match in matches), *(name for found in columns.values() for name in found)]
    for select in tree.find_all(exp.Select):  # whatever step needs them: those that list their columns pass them on
        if not select.is_star:
            select.select(*(exp.column(name) for name in taken_out), copy=False)

    known = [*inputs, *ADDED, *_columns(dates), *taken_out]
    left = {column.alias: column.this for column in judged.selects if isinstance(column, exp.Alias)}
    matched = {name: match for name, sql in left.items() if (match := _match_alone(sql)).removeprefix(NOT) in taken_out}
    parts = []
    for group in groups:
        judged.set("expressions", [exp.alias_(left[name], name) for name in group if name in left.keys() - matched])
        parts.append(_query(tree, judged, known, [matched.get(name, name) for name in group]))
    readings = {}
    for date, found in columns.items():
        select = exp.select(*(exp.alias_(sql, name) for name, sql in found.items())).from_(READINGS)
        readings[date] = _query(select, select, _columns([date]), list(found))
    return Parts(tuple(matches), readings, tuple(parts))


def _matches(tree: exp.Expr, inputs: list[str]) -> list[Match]:
    """Take the tests of input columns by regular expressions out of a tree."""
    from sqlglot import exp

    columns = {column.lower(): column for column in inputs}
    names: dict[tuple[str, str], str] = {}
    for node in list(tree.find_all(exp.RegexpLike)):
        tested, pattern = node.this, node.expression
        if isinstance(tested, exp.Column) and tested.name.lower() in columns and isinstance(pattern, exp.RawString):
            name = names.setdefault((columns[tested.name.lower()], pattern.this), f"match_{len(names)}")
            node.replace(exp.column(name))
    return [Match(name, column, pattern) for (column, pattern), name in names.items()]


def _readings(tree: exp.Expr, dates: list[str]) -> dict[str, dict[str, exp.Expr]]:
    """Take the columns that depend on one date alone out of a tree: by date, their names and what makes them.

    A column follows those that it depends on.
    """
    from sqlglot import exp

    known = {name.lower(): date for date in dates for name in _columns([date])}
    times_made = Counter([*known, *(column.alias.lower() for column in tree.find_all(exp.Alias))])
    found: dict[str, dict[str, exp.Expr]] = {date: {} for date in dates}
    steps = [column for select in tree.find_all(exp.Select) for column in select.selects]
    left = [column for column in steps if isinstance(column, exp.Alias) and times_made[column.alias.lower()] == 1]
    while True:
        for column in left:
            used = list(column.find_all(exp.Column))
            if len(of := {known.get(part.name.lower(), "") for part in used}) == 1 and (date := of.pop()):
                break
        else:
            return {date: columns for date, columns in found.items() if columns}
        for part in used:
            part.set("table", None)
        left.remove(column.pop())
        known[column.alias.lower()] = date
        found[date][column.alias.lower()] = column.this


def _match_alone(sql: exp.Expr) -> str:
    """The column of which an expression says no more than whether it is true: `coalesce((column), false)`.

    Or false: `coalesce((not column), false)`.
    """
    from sqlglot import exp

    if not isinstance(sql, exp.Coalesce) or sql.expressions != [exp.false()]:
        return ""
    tested, sign = sql.this.unnest(), ""
    if isinstance(tested, exp.Not):
        tested, sign = tested.this.unnest(), NOT
    return f"{sign}{tested.name}" if isinstance(tested, exp.Column) else ""


def _columns(dates: list[str]) -> list[str]:
    """The columns that the configured dates give."""
    return [f"{date}_{column}" for date in dates for column in DATE_COLUMNS]


def _query(tree: exp.Expr, select: exp.Select, known: list[str], gives: list[str]) -> Query:
    """A tree as a query; `select` makes its columns."""
    from sqlglot import exp

    mentioned = {name.name.lower() for name in tree.find_all(exp.Identifier)}
    reads = [name for name in known if name.lower() in mentioned]
    return Query(tree.sql("duckdb") if select.selects else "", tuple(reads or known[:1]), tuple(gives))
