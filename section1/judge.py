"""The configured SQL becomes one statement that labels every row, and is checked before any engine starts.

The statement gives, for each record, a bit per failed rule and either the line of the successful file or that of
the unsuccessful one. Which of the two depends on the bits alone, so no row can be in both or in neither.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from batch import config
from batch.errors import ConfigError
from section1 import query
from section1.query import DIALECT
from section1.settings import FAILED_RULES, ROOT, Settings, Task

TEXT, LONG, DATE, BOOLEAN = "string", "bigint", "date", "boolean"
COMPILED = ROOT / "section1" / ".compiled"
SPECIAL = """r'[",\\r\\n]'"""  # what a CSV field may only have in quotes
NEVER_QUOTED = ("BOOLEAN", "DATE", "INT", "BIGINT")  # as text they are plain CSV fields


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
    versions = [Path(str(path)).read_bytes() for path in (__file__, query.__file__, config.__file__)]
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
    return made


def _without_folders(settings: Settings) -> Settings:
    """What the statement depends on: it is the same wherever files come from and go to."""
    source = msgspec.structs.replace(settings.input, folder="")
    return msgspec.structs.replace(settings, input=source, output=msgspec.structs.replace(settings.output, folder=""))


def _compile(task: Task) -> Statement:
    import sqlglot

    settings, output = task.settings, task.settings.output
    derived, columns, tests, published = _checked(task)
    accepted = {f"accepted_fields.`{name}`": sql for (kind, name), sql in published.items() if kind == "successful"}
    rejected = [sql for (kind, _), sql in published.items() if kind == "unsuccessful"]
    fields = ", ".join(f"'{place.split('`')[1]}', {_text(sql)}" for place, sql in accepted.items())
    quotable = [place for place, sql in accepted.items() if columns.get(sql) not in NEVER_QUOTED]
    original = [*(f"`{column}`" for column in settings.input.columns), "source_file"]
    failure = [
        f"case when csv_safe then {_joined(original)} else {_joined(map(_quoted, original))} end",
        "cast(record_number as string)",
        *(_text(sql) if columns.get(sql) in NEVER_QUOTED else _quoted(_text(sql)) for sql in rejected),
        _names(list(settings.rules)),
    ]
    spark = f"""
        with derived as ({derived}
        ),
        judged as (select *, {", ".join(tests)} from derived),
        labelled as (select *, {_bits(settings)} as failed from judged),
        published as (select *, case when failed = 0 then named_struct({fields}) end as accepted_fields from labelled)
        select
          failed,
          source_file,
          record_number,
          case when failed <> 0 then null
            when concat_ws('', {", ".join(quotable or ["''"])}) rlike {SPECIAL} then
              {_line([_quoted(place) if place in quotable else place for place in accepted])}
            else {_line(list(accepted))}
          end as accepted_line,
          case when failed <> 0 then {_line(failure)} end as rejected_line
        from published"""
    duckdb = sqlglot.transpile(spark, read=DIALECT, write="duckdb")[0]
    failures = (
        *settings.input.columns,
        "source_file",
        "record_number",
        *output.unsuccessful.columns,
        FAILED_RULES,
    )
    return Statement(spark, duckdb, ",".join(output.successful.columns) + "\n", ",".join(failures) + "\n")


def _checked(task: Task) -> tuple[str, dict[str, str], list[str], dict[tuple[str, str], str]]:
    """The query, its result's columns with their types, the rules as columns, and the output columns' expressions."""
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
    return derived, columns, tests, published


def _check_reserved(task: Task, columns: Iterable[str]) -> None:
    """Names that the statement needs for itself: those of its own columns and steps."""
    settings, where = task.settings, task.document.where
    own = {"failed", "accepted_fields", *(f"passed_{name}" for name in settings.rules)}
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


def failed_rules(settings: Settings, bits: int) -> list[str]:
    """The names of the rules whose bits are set."""
    return [name for position, name in enumerate(settings.rules) if bits >> position & 1]


def _names(rules: list[str]) -> str:
    """The names of the failed rules. To look up a combination of eight bits is cheaper than eight conditions."""
    found = []
    for first in range(0, len(rules), 8):
        group = rules[first : first + 8]
        texts = (
            "".join(f";{name}" for n, name in enumerate(group) if bits >> n & 1) for bits in range(1 << len(group))
        )
        place = f"shiftright(failed, {first}) & 255" if len(rules) > 8 else "failed"
        found.append(f"element_at(array({', '.join(map(repr, texts))}), cast({place} as int) + 1)")
    return f"substr(concat({', '.join(found)}), 2)"


def _joined(fields: Iterable[str]) -> str:
    """Fields that are never null, with commas between them."""
    return f"concat_ws(',', {', '.join(fields)})"


def _line(fields: list[str]) -> str:
    """A CSV line of fields that are never null."""
    return f"concat({_joined(fields)}, chr(10))"


def _text(expression: str) -> str:
    return f"coalesce(cast(({expression}\n) as string), '')"


def _quoted(text: str) -> str:
    """A CSV field: in quotes where it has to be (RFC 4180)."""
    return f"""case when {text} rlike {SPECIAL} then concat('"', replace({text}, '"', '""'), '"') else {text} end"""
