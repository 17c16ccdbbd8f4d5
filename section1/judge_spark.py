"""What Spark gets of the judging statement: its text as configured, without the tests that Arrow makes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from section1.query import DIALECT

# Regular expressions that Arrow takes as well: no look-around, back reference or possessive quantifier, no && in a
# class, and only the escapes that RE2 has.
COMMON = re.compile(
    r"(?:[^\\(*+?}&]|\\[dDsSwWbBAztnrfxpP.^$|?*+()\[\]{}/\\-]|\((?!\?)|\(\?:|[*+?}](?!\+)|&(?!&))*+", re.DOTALL
)

if TYPE_CHECKING:
    from sqlglot import exp

    from section1.judge_duckdb import Match


def for_spark(text: str, matches: Iterable[Match], columns: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The statement over ready-made matches, and those of the columns and matches that it names.

    All else stays as it is written: to print a parsed statement anew could change what it means. Where a step lists
    its columns, or `*` is more than "all that was there", the statement stays as a whole and gets all columns.
    """
    import sqlglot
    from sqlglot import TokenType, exp

    tree = sqlglot.parse_one(text, dialect=DIALECT)
    steps = (select for select in tree.find_all(exp.Select) if select is not tree)
    if not all(select.is_star for select in steps) or not all(map(_is_all, tree.find_all(exp.Star))):
        return text, tuple(columns)
    tokens = sqlglot.tokenize(text, read=DIALECT)
    places = {token.start: place for place, token in enumerate(tokens)}
    names = {(match.column.lower(), match.pattern): match.name for match in matches if COMMON.fullmatch(match.pattern)}
    for node in sorted(tree.find_all(exp.RegexpLike), key=_start, reverse=True):
        tested = _tested(node)
        if tested and (name := names.get(tested)):
            place = places[_start(node)]
            column, operator, pattern = tokens[place : place + 3]
            if (operator.token_type, pattern.token_type) == (TokenType.RLIKE, TokenType.RAW_STRING):
                text = text[: column.start] + name + text[pattern.end + 1 :]
    used = {token.text.lower() for token in sqlglot.tokenize(text, read=DIALECT)}
    return text, tuple(name for name in (*columns, *names.values()) if name.lower() in used)


def _is_all(star: exp.Star) -> bool:
    """Whether this is the star of `select *` or `select a.*`."""
    from sqlglot import exp

    above = star.parent
    return isinstance(above.parent if isinstance(above, exp.Column) else above, exp.Select)


def _tested(node: exp.RegexpLike) -> tuple[str, str] | None:
    """The column, lower-case, and the pattern of a test `column rlike r'pattern'`."""
    from sqlglot import exp

    column, pattern = node.this, node.expression
    if isinstance(column, exp.Column) and not column.table and isinstance(pattern, exp.RawString):
        return column.name.lower(), str(pattern.this)
    return None


def _start(node: exp.RegexpLike) -> int:
    """Where the tested column's name stands in the text; -1 where another thing is tested."""
    return int(node.this.this.meta["start"]) if _tested(node) else -1
