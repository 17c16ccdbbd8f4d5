"""The configured SQL becomes one statement that labels every row, and is checked before any engine starts.

The statement gives, for each record, a bit per failed rule and the fields that its output adds. Which of the two
outputs depends on the bits alone, so no row can be in both or in neither.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from batch import config
from batch.errors import ConfigError
from section1 import judge_spark, query
from section1.query import DIALECT
from section1.settings import ROOT, Settings, Task

TEXT, LONG, DATE, BOOLEAN = "string", "bigint", "date", "boolean"
COMPILED = ROOT / "section1" / ".compiled"
KEPT = 20  # statements, one per configuration


class Match(NamedTuple):
    """Whether an input column matches a regular expression: a column that is made before an engine judges."""

    name: str
    column: str
    pattern: str


class Statement(msgspec.Struct, frozen=True):
    """The judging statement, over the view that the settings name, and what becomes of its result.

    Spark's gives the record_number; `failed`, a bit per rule; and as text accepted_0 and so on, the fields of the
    successful file, and rejected_0 and so on, those that the unsuccessful file adds: both null in rows that belong to
    the other file. It needs no more than `spark_columns`, some of which are matches. For DuckDB, which judges one
    chunk after the other, it is two: `labels` gives `failed` and the rejected fields, `fields` the accepted ones of
    those rows that passed. Both expect the columns of `matches`. The other tuples name fields and rules as the files
    do, in order.
    """

    spark: str
    labels: str
    fields: str
    matches: tuple[Match, ...]
    accepted: tuple[str, ...]
    rejected: tuple[str, ...]
    rules: tuple[str, ...]
    spark_columns: tuple[str, ...] = ()

    def failed_rules(self, bits: int) -> list[str]:
        """The names of the rules whose bits are set."""
        return [name for position, name in enumerate(self.rules) if bits >> position & 1]


def schema(settings: Settings) -> dict[str, str]:
    """The columns that the query can use, with their Spark types."""
    columns = dict.fromkeys(settings.input.columns, TEXT)
    columns |= {"source_file": TEXT, "record_number": LONG}
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
    versions = [
        Path(str(path)).read_bytes() for path in (__file__, judge_spark.__file__, query.__file__, config.__file__)
    ]
    versions.append((ROOT / "Pipfile.lock").read_bytes())
    key = hashlib.sha256(b"\0".join([msgspec.json.encode(_without_folders(task.settings)), *versions])).hexdigest()[:16]
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
        for old in sorted(cache.glob("*.json"), key=lambda kept: kept.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    return made


def _without_folders(settings: Settings) -> Settings:
    """What the statement depends on: it is the same wherever files come from and go to."""
    source = msgspec.structs.replace(settings.input, folder="")
    return msgspec.structs.replace(settings, input=source, output=msgspec.structs.replace(settings.output, folder=""))


def _compile(task: Task) -> Statement:
    settings, output = task.settings, task.settings.output
    derived, tests, published = _checked(task)
    accepted = [_text(sql) for (kind, _), sql in published.items() if kind == "successful"]
    rejected = [_text(sql) for (kind, _), sql in published.items() if kind == "unsuccessful"]
    added = [f"case when failed <> 0 then {sql} end as rejected_{n}" for n, sql in enumerate(rejected)]
    common = f"with derived as ({derived}\n)"
    judged = f"""{common},
        judged as (select *, {", ".join(tests)} from derived),
        labelled as (select *, {_bits(settings)} as failed from judged)"""
    passed = [f"case when failed = 0 then {sql} end as accepted_{n}" for n, sql in enumerate(accepted)]
    fields = [f"{sql} as accepted_{n}" for n, sql in enumerate(accepted)]
    matches: list[Match] = []
    labels = _for_duckdb(f"{judged} select {', '.join(['failed', *added])} from labelled", settings, matches)
    accepted_fields = _for_duckdb(f"{common} select {', '.join(fields)} from derived", settings, matches)
    whole = f"{judged} select {', '.join(['record_number', 'failed', *passed, *added])} from labelled"
    spark, spark_columns = judge_spark.for_spark(whole, matches, schema(settings))
    return Statement(
        spark,
        labels,
        accepted_fields,
        tuple(matches),
        tuple(output.successful.columns),
        tuple(output.unsuccessful.columns),
        tuple(settings.rules),
        spark_columns,
    )


def _for_duckdb(spark: str, settings: Settings, matches: list[Match]) -> str:
    """The statement in DuckDB's dialect, with its tests of input columns by regular expressions made matches.

    Arrow uses the same library for them, and takes half the time for it. No query can change an input column, so the
    name alone says that it is one.
    """
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(spark, dialect=DIALECT)
    columns = {column.lower(): column for column in settings.input.columns}
    for node in list(tree.find_all(exp.RegexpLike)):
        tested, pattern = node.this, node.expression
        if isinstance(tested, exp.Column) and tested.name.lower() in columns and isinstance(pattern, exp.RawString):
            column = columns[tested.name.lower()]
            known = [m.name for m in matches if (m.column, m.pattern) == (column, pattern.this)]
            if not known:
                known = [f"match_{len(matches)}"]
                matches.append(Match(known[0], column, pattern.this))
            node.replace(exp.column(known[0]))
    for select in tree.find_all(exp.Select):  # whatever step needs them: those that list their columns pass them on
        if select is not tree and not select.is_star:
            select.select(*(match.name for match in matches), copy=False)
    return tree.sql("duckdb")


def _checked(task: Task) -> tuple[str, list[str], dict[tuple[str, str], str]]:
    """The query, the rules as columns, and the output columns' expressions."""
    settings, place = task.settings, task.document.place

    def sql(text: str, *keys: str) -> str:
        return config.substitute(text, settings.parameters, place(*keys))

    derived = sql(settings.query, "query")
    columns = query.check_query(derived, settings.input.view, schema(settings), place("query"))
    tests = []
    for name in settings.rules:
        test = sql(settings.rule(name).test, "rules", name, "test")
        query.check_expression(test, columns, place("rules", name, "test"), rule=True)
        tests.append(f"coalesce(({test}\n), false) as passed_{name}")
    published = {}
    for kind in ("successful", "unsuccessful"):
        for name, text in getattr(settings.output, kind).columns.items():
            keys = ("output", kind, "columns", name)
            published[kind, name] = sql(text, *keys)
            query.check_expression(published[kind, name], columns, place(*keys))
    _check_reserved(task, columns)
    return derived, tests, published


def _check_reserved(task: Task, columns: Iterable[str]) -> None:
    """Names that the statement needs for itself: those of its own columns and steps."""
    settings, where = task.settings, task.document.where
    own = {"failed", *(f"passed_{name}" for name in settings.rules)}
    own |= {f"accepted_{number}" for number in range(len(settings.output.successful.columns))}
    own |= {f"rejected_{number}" for number in range(len(settings.output.unsuccessful.columns))}
    own |= {name for name in columns if re.fullmatch("match_[0-9]+", name)}
    if taken := {name.lower() for name in own} & set(columns):
        raise ConfigError(f"a column may not be called {', '.join(sorted(taken))} here", where=where("query"))
    if settings.input.view.lower() in query.STEPS:
        hint = "Call it for example `applications`."
        raise ConfigError(f"a view may not be called {settings.input.view}", where=where("input", "view"), hint=hint)


def _bits(settings: Settings) -> str:
    """One number with a bit for each failed rule; arithmetic on booleans is cheaper than a case for each."""
    terms = []
    for position, name in enumerate(settings.rules):
        conditions = [f"not passed_{name}", *(f"passed_{earlier}" for earlier in settings.rule(name).after)]
        terms.append(f"cast({' and '.join(conditions)} as bigint) * {1 << position}")
    return " + ".join(terms)


def _text(expression: str) -> str:
    return f"coalesce(cast(({expression}\n) as string), '')"
