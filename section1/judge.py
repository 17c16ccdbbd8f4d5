"""The configured SQL becomes one statement that labels every row, and is checked before any engine starts.

The statement gives, for each record, a bit per failed rule and either the line of the successful file or that of
the unsuccessful one. Which of the two depends on the bits alone, so no row can be in both or in neither.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from batch import config
from batch.errors import ConfigError
from section1.settings import ROOT, Settings, Task

if TYPE_CHECKING:
    from sqlglot import exp

TEXT, LONG, DATE, BOOLEAN = "string", "bigint", "date", "boolean"
COMPILED = ROOT / "section1" / ".compiled"
DIALECT = "databricks"  # Spark SQL in ANSI mode, as sqlglot calls it
NEVER_QUOTED = ("BOOLEAN", "DATE", "INT", "BIGINT")  # as text they are plain CSV fields
NOT_REPEATABLE = ("Rand", "Randn", "Uuid", "CurrentDate", "CurrentTimestamp", "CurrentUser")


class Statement(msgspec.Struct, frozen=True):
    """The judging statement in both dialects, over the view that the settings name.

    Its columns are failed (a bit per rule), source_file, record_number, accepted_line and rejected_line. Lines end
    in a line feed; the one that does not apply is null.
    """

    spark: str
    duckdb: str
    accepted_header: str
    rejected_header: str


def schema(settings: Settings) -> dict[str, str]:
    """The columns that the query can use, with their Spark types."""
    columns = dict.fromkeys(settings.input.columns, TEXT)
    columns |= {"source_file": TEXT, "record_number": LONG, "csv_safe": BOOLEAN}
    for name in settings.dates:
        columns |= {f"{name}_date": DATE, f"{name}_ymd": TEXT, f"{name}_digest": TEXT, f"{name}_status": TEXT}
    return columns


def statement(task: Task, cache: Path | None = COMPILED) -> Statement:
    """The checked statement of a task, made once per configuration where the cache folder can be written.

    Raises ConfigError with file and line for SQL that does not parse, names an unknown column, aggregates,
    filters, or gives another result each time.
    """
    if cache is None:
        return _compile(task)
    versions = [Path(__file__).read_bytes(), (ROOT / "Pipfile.lock").read_bytes()]
    key = hashlib.sha256(b"\0".join([msgspec.json.encode(task.settings), *versions])).hexdigest()[:16]
    kept = cache / f"{key}.json"
    try:
        return msgspec.json.decode(kept.read_bytes(), type=Statement)
    except (OSError, msgspec.DecodeError):
        made = _compile(task)
    with contextlib.suppress(OSError):
        cache.mkdir(exist_ok=True)
        partial = cache / f".{key}.{os.getpid()}"
        partial.write_bytes(msgspec.json.encode(made))
        partial.replace(kept)
    return made


def _compile(task: Task) -> Statement:
    import sqlglot

    settings, output = task.settings, task.settings.output
    parameters, where = settings.parameters, task.document.where
    query = config.substitute(settings.query, parameters, where("query"))
    columns = _check_query(task, query)
    tests = []
    for name in settings.rules:
        at = where("rules", name, "test")
        test = config.substitute(settings.rule(name).test, parameters, at)
        _check_expression(test, columns, at)
        tests.append(f"coalesce({test}, false) as passed_{name}")
    published = {}
    for kind in ("successful", "unsuccessful"):
        for name, expression in getattr(output, kind).columns.items():
            at = where("output", kind, "columns", name)
            published[kind, name] = config.substitute(expression, parameters, at)
            _check_expression(published[kind, name], columns, at)
    texts, accepted, rejected = [], [], []
    for (kind, name), sql in published.items():
        column, lines, failed = (
            (f"accepted_{name}", accepted, "failed = 0")
            if kind == "successful"
            else (f"rejected_{name}", rejected, "failed <> 0")
        )
        texts.append(f"case when {failed} then coalesce(cast({sql} as string), '') end as {column}")
        lines.append(column if columns.get(sql) in NEVER_QUOTED else _quoted(column))
    original = [*settings.input.columns, "source_file"]
    originals = f"case when csv_safe then {_joined(original)} else {_joined(map(_quoted, original))} end"
    failure = [originals, "cast(record_number as string)", *rejected, _names(list(settings.rules))]
    spark = f"""
        with derived as ({query}
        ),
        judged as (select *, {", ".join(tests)} from derived),
        labelled as (select *, {_bits(settings)} as failed from judged),
        published as (select *, {", ".join(texts)} from labelled)
        select
          failed,
          source_file,
          record_number,
          case when failed = 0 then {_line(accepted)} end as accepted_line,
          case when failed <> 0 then {_line(failure)} end as rejected_line
        from published"""
    duckdb = sqlglot.transpile(spark, read=DIALECT, write="duckdb")[0]
    failures = (
        *settings.input.columns,
        "source_file",
        "record_number",
        *output.unsuccessful.columns,
        "failed_rules",
    )
    return Statement(spark, duckdb, ",".join(output.successful.columns) + "\n", ",".join(failures) + "\n")


def _bits(settings: Settings) -> str:
    """One number with a bit for each failed rule; arithmetic on booleans is cheaper than a case for each."""
    terms = []
    for position, name in enumerate(settings.rules):
        conditions = [f"not passed_{name}", *(f"passed_{earlier}" for earlier in settings.rule(name).after)]
        terms.append(f"cast({' and '.join(conditions)} as bigint) * {1 << position}")
    return " + ".join(terms)


def failed_rules(settings: Settings, bits: int) -> list[str]:
    """The names of the rules whose bits are set."""
    return [name for position, name in enumerate(settings.rules) if bits >> position & 1]


def _names(rules: list[str]) -> str:
    cases = (f"case when failed & {1 << position} <> 0 then '{name}' end" for position, name in enumerate(rules))
    return f"concat_ws(';', {', '.join(cases)})"


def _joined(fields: Iterable[str]) -> str:
    """Fields that are never null, with commas between them."""
    return f"concat_ws(',', {', '.join(fields)})"


def _line(fields: list[str]) -> str:
    """A CSV line of fields that are never null."""
    return f"concat({_joined(fields)}, chr(10))"


def _quoted(text: str) -> str:
    """A CSV field: in quotes where it has to be (RFC 4180)."""
    return (
        f"""case when {text} rlike '[",\\\\r\\\\n]' then concat('"', replace({text}, '"', '""'), '"') else {text} end"""
    )


def _check_query(task: Task, query: str) -> dict[str, str]:
    """Check the query as far as that goes without an engine; returns the columns of its result."""
    from sqlglot import exp
    from sqlglot.errors import OptimizeError
    from sqlglot.optimizer.annotate_types import annotate_types
    from sqlglot.optimizer.qualify import qualify

    settings, where = task.settings, task.document.where
    tree = _parse(query, where("query"), task)
    _check_rowwise(tree, where("query"), view=settings.input.view)
    try:
        qualified = qualify(
            tree, schema={settings.input.view: schema(settings)}, dialect=DIALECT, quote_identifiers=False
        )
    except OptimizeError as error:
        raise _unknown_column(str(error), query, schema(settings), task) from error
    annotate_types(qualified)
    assert isinstance(qualified, exp.Query)
    columns = {column.alias_or_name: str(column.type) for column in qualified.selects}
    if lost := schema(settings).keys() - columns.keys():
        raise ConfigError(
            f"the query's result lacks {', '.join(sorted(lost))}",
            where=where("query"),
            hint="Begin with `select *, `.",
        )
    return columns


def _parse(text: str, where: str, task: Task | None = None) -> exp.Expr:
    import sqlglot
    from sqlglot.errors import ParseError, TokenError

    try:
        return sqlglot.parse_one(text, dialect=DIALECT)
    except ParseError as error:
        first = error.errors[0]
        if task is not None:
            where = task.document.where("query", offset=int(first.get("line") or 1) - 1)
        near = f" near `{first['highlight']}`" if first.get("highlight") else ""
        raise ConfigError(f"not valid SQL{near}: {first.get('description')}", where=where) from error
    except TokenError as error:
        raise ConfigError("not valid SQL: a quote or a bracket is not closed", where=where) from error


def _check_rowwise(tree: exp.Expr, where: str, view: str) -> None:
    """Refuse what would drop, repeat or compare rows, or differ from run to run."""
    from sqlglot import exp

    refused: list[tuple[type[exp.Expr], str]] = [
        (exp.Where, "where"), (exp.Join, "join"), (exp.Group, "group by"), (exp.AggFunc, "an aggregate"),
        (exp.Window, "a window"), (exp.Limit, "limit"), (exp.Distinct, "distinct"), (exp.Order, "order by"),
        (exp.SetOperation, "union"), (exp.Having, "having"), (exp.Lateral, "lateral view"),
        (exp.UDTF, "a table function"),
    ]  # fmt: skip
    for kind, name in refused:
        if tree.find(kind):
            raise ConfigError(
                f"{name} is not possible: rows are judged alone, and each row in is one row out",
                where=where,
                hint="Say in a rule what a row must pass.",
            )
    for node in tree.walk():
        name = node.name.lower() if isinstance(node, exp.Anonymous) else type(node).__name__.lower()
        if name in map(str.lower, (*NOT_REPEATABLE, "now", "random", "input_file_name", "monotonically_increasing_id")):
            raise ConfigError(f"{name} gives another result in each run", where=where, hint="Use a parameter instead.")
    known = {view, *(cte.alias for cte in tree.find_all(exp.CTE))}
    for table in tree.find_all(exp.Table):
        if table.name not in known:
            raise ConfigError(f"unknown table `{table.name}`", where=where, hint=config.suggest(table.name, known))


def _check_expression(text: str, columns: dict[str, str], where: str) -> None:
    """Check a rule or an output column against the columns of the query's result."""
    from sqlglot import exp

    tree = _parse(f"select {text} as x", where)
    assert isinstance(tree, exp.Query)
    if len(tree.selects) != 1 or tree.args.get("from_") or tree.find(exp.Subquery):
        raise ConfigError("one expression is needed here", where=where)
    _check_rowwise(tree, where, view="")
    for column in tree.find_all(exp.Column):
        if column.name not in columns:
            raise ConfigError(f"unknown column `{column.name}`", where=where, hint=config.suggest(column.name, columns))


def _unknown_column(problem: str, query: str, known: dict[str, str], task: Task) -> ConfigError:
    """Turn the optimiser's complaint into a ConfigError at the line of the query that names the column."""
    name = (re.findall(r"'\"?([A-Za-z_0-9.]+)\"?'", problem) or ["?"])[0].rpartition(".")[2]
    lines = query.splitlines()
    line = next((n for n, text in enumerate(lines) if re.search(rf"\b{re.escape(name)}\b", text)), 0)
    return ConfigError(
        f"unknown column `{name}`",
        where=task.document.where("query", offset=line),
        hint=config.suggest(name, known),
    )
