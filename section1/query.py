"""What the configured SQL may say, checked without an engine.

Rows are judged alone: a query gives one row for each row of the view, with the view's columns as they were, and the
same row each time. What would drop, repeat or compare rows is refused, and so is what only one engine knows.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from batch.config import Place, suggest
from batch.errors import ConfigError

if TYPE_CHECKING:
    from sqlglot import Token, exp

DIALECT = "databricks"  # Spark SQL in ANSI mode, as sqlglot calls it
STEPS = ("derived", "judged", "labelled")  # what the judging statement calls its own steps

_SAME_ON_BOTH = {"make_date"}  # functions that sqlglot does not know, and both engines do
_BY_CHANCE = re.compile(
    r"(current|local|utc|session|input_?file|rand|uniform|uuid|shuffle|now|user|version|monotonically|spark_partition)"
)
_KEYWORDS = (
    *("select", "from", "where", "case", "when", "then", "else", "end", "and", "or", "not", "in", "is", "null", "as"),
    *("with", "cast", "between", "like", "rlike", "true", "false"),
)
_PART_NAMES = {
    "joins": "join",
    "group": "group by",
    "order": "order by",
    "sort": "sort by",
    "laterals": "lateral view",
    "cluster": "cluster by",
    "distribute": "distribute by",
    "sample": "tablesample",
    "pivots": "pivot",
    "locks": "for update",
    "version": "version as of",
    "db": "a name with a dot",
}


def check_query(text: str, view: str, known: dict[str, str], place: Place) -> dict[str, str]:
    """The columns of the query's result, lower-case, with their types (UNKNOWN where that takes an engine).

    `known` are the view's columns with their types. Raises ConfigError at the line of the mistake.
    """
    from sqlglot import exp

    tree = _parse(text, place)
    _check_rows(tree, text, place)
    if not isinstance(tree, exp.Select) or not re.match(r"(select|with)\b", _tokens(text)[0].text.lower()):
        raise ConfigError("the query must be one `select`", where=place(0))
    _check_tables(tree, view, place)
    qualified = _qualify(tree, {view: known}, known, place)
    for select in qualified.find_all(exp.Select):
        _check_once(select, place)
    made = {column.alias_or_name.lower(): str(column.type) for column in qualified.selects}
    if lost := sorted(name for name in known if name.lower() not in made):
        raise ConfigError(
            f"the query's result lacks {', '.join(lost)}", where=place(0), hint="Begin with `select *, `."
        )
    for name in known:
        if not _is_original(qualified, name.lower(), view.lower()):
            raise ConfigError(
                f"the query changes `{name}`; rejected rows are published as they came",
                where=place(0),
                hint="Begin with `select *, ` and give the new value a name of its own.",
            )
    return made


def check_expression(text: str, columns: dict[str, str], place: Place, *, rule: bool = False) -> None:
    """Check a rule or an output column against the columns of the query's result, as `check_query` gave them."""
    from sqlglot import exp

    last = text.count("\n")
    tree = _parse(f"select ({text}\n) as x", lambda line: place(min(line, last)))
    only = tree.selects[0] if isinstance(tree, exp.Select) and len(tree.selects) == 1 else None
    whole = only.this if isinstance(only, exp.Alias) and only.alias == "x" else None
    alone = isinstance(whole, exp.Paren) and not isinstance(whole.this, exp.Alias)
    if not isinstance(tree, exp.Select) or not alone or tree.args.get("from_"):
        raise ConfigError("one expression is needed here", where=place(0))
    _check_rows(tree, text, place)
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Star) or column.table:
            raise ConfigError(
                f"`{column.sql(DIALECT)}` is not possible here",
                where=place(_line(column)),
                hint="Name a column of the query's result, without its table.",
            )
        if column.name.lower() not in columns:
            raise _unknown_column(column.name, columns, place(_line(column)))
    if any(tree.find_all(exp.Star)):
        raise ConfigError("`*` is not possible here", where=place(0), hint="Name a column of the query's result.")
    if rule:
        (test,) = _qualify(tree.from_(STEPS[0]), {STEPS[0]: columns}, columns, place).selects
        if str(test.type) not in ("BOOLEAN", "NULL", "UNKNOWN"):
            kind = str(test.type).lower()
            raise ConfigError(f"a rule must be true or false, and this is a {kind}", where=place(0))


def _parse(text: str, place: Place) -> exp.Expr:
    """The one statement of a text."""
    import sqlglot
    from sqlglot.errors import ParseError, TokenError

    try:
        trees = sqlglot.parse(text, dialect=DIALECT)
    except ParseError as error:
        first = error.errors[0]
        line = int(first.get("line") or 1) - 1
        near = str(first.get("highlight") or "")
        before = re.findall(r"\w+", str(first.get("start_context") or ""))
        problem = re.sub(r"Required keyword: .*", "something is missing", str(first.get("description")))
        raise ConfigError(
            f"not valid SQL{f' near `{near}`' if near else ''}: {problem}",
            where=place(line),
            hint=_keyword([near, *reversed(before)]),
        ) from error
    except TokenError as error:
        begun = re.search(r"from (\d+):", str(error.__cause__))
        raise ConfigError(
            "not valid SQL: a quote or a comment is not closed", where=place(int(begun[1]) - 1 if begun else 0)
        ) from error
    if len(trees) != 1 or trees[0] is None or any(token.text == ";" for token in _tokens(text)):
        raise ConfigError("one statement is needed here", where=place(0), hint="Leave out any `;`.")
    return trees[0]


def _keyword(words: Iterable[str]) -> str:
    """A suggestion where one of these words is nearly a keyword; the first such word is meant."""
    for word in words:
        close = difflib.get_close_matches(word.lower(), _KEYWORDS, n=1, cutoff=0.75)
        if close and close[0] != word.lower():
            return f"Did you mean `{close[0]}`?"
    return ""


def _check_rows(tree: exp.Expr, text: str, place: Place) -> None:
    """Refuse what would drop, repeat or compare rows, what differs from run to run, and unknown functions."""
    from sqlglot import exp

    for node in tree.walk():
        if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
            _check_function(node, place)
        elif isinstance(node, exp.Func) and _BY_CHANCE.match(type(node).__name__.lower()):
            raise _by_chance(type(node).sql_names()[0].lower(), place(_line(node)))
        elif isinstance(node, exp.Parameter | exp.Placeholder | exp.SessionParameter):
            raise ConfigError(
                f"`{node.sql(DIALECT)}` is not possible", where=place(_line(node)), hint="Parameters are `${name}`."
            )
        elif refused := _refused(node):
            name, part = refused
            word = name.split()[-1] if name.startswith(("a ", "the ")) else name.split()[0]
            raise ConfigError(
                f"{name} is not possible: rows are judged alone, and each row in is one row out",
                where=place(_line(part, text, word)),
                hint="Say in a rule what a row must pass.",
            )


def _refused(node: exp.Expr) -> tuple[str, exp.Expr] | None:
    """What may not be in a statement: what this node has of it is called, and where it begins."""
    from sqlglot import exp

    allowed: dict[type[exp.Expr], tuple[str, ...]] = {
        exp.Select: ("expressions", "from_", "with_"),
        exp.Table: ("this", "alias"),
        exp.Subquery: ("this", "alias"),
        exp.With: ("expressions",),
        exp.CTE: ("this", "alias"),
    }
    for part, value in node.args.items() if type(node) in allowed else ():
        if value and part not in allowed[type(node)]:
            first = value[0] if isinstance(value, list) else value
            return _PART_NAMES.get(part, part.rstrip("_")), first if isinstance(first, exp.Expr) else node
    match node:
        case exp.SetOperation():
            return type(node).__name__.lower(), node
        case exp.Window():
            return "a window over", node
        case exp.AggFunc():
            return f"the aggregate {type(node).sql_names()[0].lower()}", node
        case exp.UDTF() | exp.QueryTransform():
            return "a table function", node
        case exp.From() if not isinstance(node.this, exp.Table | exp.Subquery):
            return "a table function", node
        case exp.Star() if node.args.get("replace") or node.args.get("rename"):
            return "* replace", node
        case exp.Any() | exp.All() if not isinstance(node.parent, exp.Like | exp.ILike):
            return f"the aggregate {type(node).__name__.lower()}", node
        case exp.Query() if not isinstance(node.parent, exp.From | exp.CTE | exp.Subquery | None):
            return "a subquery", node
    return None


def _check_function(node: exp.Anonymous | exp.AnonymousAggFunc, place: Place) -> None:
    import sqlglot

    name = str(node.this).lower()
    if _BY_CHANCE.match(name):
        raise _by_chance(name, place(_line(node)))
    if name not in _SAME_ON_BOTH:
        known = [function.lower() for function in sqlglot.Dialect.get_or_raise(DIALECT).parser_class.FUNCTIONS]
        close = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(
            f"`{name}` is not a function that both engines know",
            where=place(_line(node)),
            hint=f"Did you mean `{close[0]}`?" if close else "Spark's own functions that sqlglot can translate work.",
        )


def _by_chance(name: str, where: str) -> ConfigError:
    return ConfigError(f"`{name}` gives another result in each run", where=where, hint="Use a parameter instead.")


def _check_tables(tree: exp.Select, view: str, place: Place) -> None:
    """A query reads its own steps and the view, each under one name."""
    from sqlglot import exp

    names = [view.lower()]
    for cte in tree.find_all(exp.CTE):
        if cte.alias.lower() in names:
            raise ConfigError(f"`{cte.alias}` is already the name of a table", where=place(_line(cte.args["alias"])))
        names.append(cte.alias.lower())
    for table in tree.find_all(exp.Table):
        if table.name.lower() not in names:
            raise ConfigError(
                f"unknown table `{table.name}`", where=place(_line(table)), hint=suggest(table.name, names)
            )


def _qualify(tree: exp.Select, tables: dict[str, object], columns: Iterable[str], place: Place) -> exp.Select:
    """The tree with each column's table and type."""
    from sqlglot import exp
    from sqlglot.errors import OptimizeError
    from sqlglot.optimizer.annotate_types import annotate_types
    from sqlglot.optimizer.qualify import qualify

    try:
        qualified = qualify(tree.copy(), schema=tables, dialect=DIALECT, quote_identifiers=False)
    except OptimizeError as error:
        if table := re.search(r"(?:for table: '|Unknown table: )(\w+)", str(error)):
            names = [source.alias_or_name for source in tree.find_all(exp.Table)]
            line = re.search(r"Line: (\d+)", str(error))
            where = place(int(line[1]) - 1 if line else _line_of_name(tree, table[1]))
            raise ConfigError(f"unknown table `{table[1]}`", where=where, hint=suggest(table[1], names)) from error
        found = re.search(r"Column '\"?([^'\"]+)\"?'|Unknown column: (\w+)", str(error))
        name = (found[1] or found[2]) if found else "?"
        made = {column.alias.lower() for column in tree.find_all(exp.Alias)}
        raise _unknown_column(name, made | set(columns), place(_line_of_name(tree, name))) from error
    qualified = annotate_types(qualified, schema=tables, dialect=DIALECT)
    assert isinstance(qualified, exp.Select)
    return qualified


def _unknown_column(name: str, known: Iterable[str], where: str) -> ConfigError:
    return ConfigError(f"unknown column `{name}`", where=where, hint=suggest(name, known))


def _check_once(select: exp.Select, place: Place) -> None:
    """Refuse a step that makes two columns of one name: engines differ in which one they would take."""
    seen: set[str] = set()
    for column in select.selects:
        name = column.alias_or_name.lower()
        if name in seen:
            raise ConfigError(
                f"the query makes column `{name}` twice",
                where=place(_line(column)),
                hint="`*` has it already: give the new value a name of its own.",
            )
        seen.add(name)


def _is_original(select: exp.Query, name: str, view: str) -> bool:
    """Whether a column of a qualified query comes from the view as it is."""
    from sqlglot import exp

    column = next((c for c in select.selects if c.alias_or_name.lower() == name), None)
    column = column.unalias() if column is not None else None
    origin = select.args.get("from_")
    if not isinstance(column, exp.Column) or column.name.lower() != name or origin is None:
        return False
    source = origin.this
    if isinstance(source, exp.Subquery):
        return _is_original(source.this, name, view)
    for step in _ctes(select):
        if step.alias.lower() == source.name.lower():
            return _is_original(step.this, name, view)
    return bool(source.name.lower() == view)


def _ctes(select: exp.Expr) -> Iterable[exp.CTE]:
    """The steps that a query can see: its own and those around it."""
    from sqlglot import exp

    node: exp.Expr | None = select
    while node is not None:
        if isinstance(node, exp.Query):
            yield from node.ctes
        node = node.parent


def _line(node: exp.Expr, text: str = "", word: str = "") -> int:
    """The line of a part of a statement, the first being 0: where `word` stands in the text, else its first name."""
    for token in _tokens(text) if word else []:
        if token.text.lower().split()[:1] == [word]:
            return int(token.line) - 1
    return min((int(part.meta["line"]) - 1 for part in node.walk() if "line" in part.meta), default=0)


def _tokens(text: str) -> list[Token]:
    """The words and signs of a text, without those in quotes and comments."""
    import sqlglot
    from sqlglot import TokenType

    quoted = (TokenType.STRING, TokenType.RAW_STRING, TokenType.IDENTIFIER)
    return [token for token in sqlglot.tokenize(text, read=DIALECT) if token.token_type not in quoted]


def _line_of_name(tree: exp.Expr, name: str) -> int:
    """The line of the first place where a column or table of this name is used."""
    from sqlglot import exp

    parts = [part for part in tree.find_all(exp.Identifier) if part.name.lower() == name.lower()]
    used = [part for part in parts if not isinstance(part.parent, exp.Alias | exp.TableAlias)]
    return min((_line(part) for part in used or parts), default=0)
