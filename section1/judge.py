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

import msgspec

from batch import config
from batch.errors import ConfigError
from section1 import judge_duckdb, judge_spark, query
from section1.judge_duckdb import Parts
from section1.settings import ROOT, Settings, Task

TEXT, LONG, DATE, BOOLEAN = "string", "bigint", "date", "boolean"
COMPILED = ROOT / "section1" / ".compiled"
KEPT = 20  # statements, one per configuration
OWN = "failed|(passed|accepted|rejected|match)_[0-9]+"  # the names of the statement's own columns


class Statement(msgspec.Struct, frozen=True):
    """The judging statement, over the view that the settings name, and what becomes of its result.

    Spark's gives the record_number; `failed`, a bit per rule; and as text accepted_0 and so on, the fields of the
    successful file, and rejected_0 and so on, those that the unsuccessful file adds: both null in rows that belong to
    the other file. It needs no more than `spark_columns`, some of which are matches. For DuckDB it is in parts, whose
    groups of columns are passed_0 and so on, a boolean per rule; accepted_0 and so on; rejected_0 and so on. `after`
    has for each rule those that must be passed before it can be failed. The other tuples name fields and rules as the
    files do, in order.
    """

    spark: str
    spark_columns: tuple[str, ...]
    parts: Parts
    after: tuple[tuple[int, ...], ...]
    accepted: tuple[str, ...]
    rejected: tuple[str, ...]
    rules: tuple[str, ...]

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
    sources = (__file__, judge_duckdb.__file__, judge_spark.__file__, query.__file__, config.__file__)
    versions = [Path(str(path)).read_bytes() for path in sources]
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
    passed = {f"passed_{n}": f"coalesce(({test}\n), false)" for n, test in enumerate(tests)}
    accepted = {f"accepted_{n}": _text(sql) for n, sql in enumerate(published["successful"])}
    rejected = {f"rejected_{n}": _text(sql) for n, sql in enumerate(published["unsuccessful"])}
    rules = list(settings.rules)
    after = tuple(tuple(map(rules.index, settings.rule(name).after)) for name in rules)
    fields = [f"case when failed = 0 then {sql} end as {name}" for name, sql in accepted.items()]
    fields += [f"case when failed <> 0 then {sql} end as {name}" for name, sql in rejected.items()]
    whole = f"""with derived as ({derived}\n),
        judged as (select *, {", ".join(f"{sql} as {name}" for name, sql in passed.items())} from derived),
        labelled as (select *, {_bits(after)} as failed from judged)
        select {", ".join(["record_number", "failed", *fields])} from labelled"""
    groups = [passed, accepted, rejected]
    parts = judge_duckdb.for_duckdb(derived, settings.input.columns, list(settings.dates), groups)
    spark, spark_columns = judge_spark.for_spark(whole, parts.matches, schema(settings))
    names = tuple(output.successful.columns), tuple(output.unsuccessful.columns), tuple(rules)
    return Statement(spark, spark_columns, parts, after, *names)


def _checked(task: Task) -> tuple[str, list[str], dict[str, list[str]]]:
    """The query, the rules' tests, and the expressions of the columns of both outputs."""
    settings, place = task.settings, task.document.place

    def sql(text: str, *keys: str) -> str:
        return config.substitute(text, settings.parameters, place(*keys))

    derived = sql(settings.query, "query")
    columns = query.check_query(derived, settings.input.view, schema(settings), place("query"))
    tests = []
    for name in settings.rules:
        test = sql(settings.rule(name).test, "rules", name, "test")
        query.check_expression(test, columns, place("rules", name, "test"), rule=True)
        tests.append(test)
    published: dict[str, list[str]] = {"successful": [], "unsuccessful": []}
    for kind, expressions in published.items():
        for name, text in getattr(settings.output, kind).columns.items():
            keys = ("output", kind, "columns", name)
            expressions.append(sql(text, *keys))
            query.check_expression(expressions[-1], columns, place(*keys))
    _check_reserved(task, columns)
    return derived, tests, published


def _check_reserved(task: Task, columns: Iterable[str]) -> None:
    """Names that the statement needs for itself: those of its own columns and steps."""
    settings, where = task.settings, task.document.where
    if taken := sorted(name for name in columns if re.fullmatch(OWN, name)):
        raise ConfigError(f"a column may not be called {', '.join(taken)} here", where=where("query"))
    if settings.input.view.lower() in query.STEPS:
        hint = "Call it for example `applications`."
        raise ConfigError(f"a view may not be called {settings.input.view}", where=where("input", "view"), hint=hint)


def _bits(after: tuple[tuple[int, ...], ...]) -> str:
    """One number with a bit for each failed rule; arithmetic on booleans is cheaper than a case for each."""
    terms = []
    for rule, earlier in enumerate(after):
        conditions = [f"not passed_{rule}", *(f"passed_{other}" for other in earlier)]
        terms.append(f"cast({' and '.join(conditions)} as bigint) * {1 << rule}")
    return " + ".join(terms)


def _text(expression: str) -> str:
    return f"coalesce(cast(({expression}\n) as string), '')"
