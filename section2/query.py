"""The analysts' questions: SQL files in section2/conf, asked here or in psql (`-v transaction_id=7 -f FILE`)."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batch import config
from batch.errors import ConfigError
from section2.settings import CONF

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

PREFIX = "section2_query_"
# A parameter; or what has none, as in psql: a text, a quoted name, a comment.
_PARAMETER = re.compile(r"""(?<![:\w]):([a-z_]+)\b|'[^']*'|"[^"]*"|--.*|/\*[\s\S]*?\*/""")


class Answer(NamedTuple):
    """A table: the names of its columns and its rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def questions() -> dict[str, Path]:
    """The files by their short names: section2_query_basket_size.sql is `basket_size`."""
    return {path.stem.removeprefix(PREFIX): path for path in sorted(CONF.glob(f"{PREFIX}*.sql"))}


def find(name: str) -> Path:
    """The file of a question: by its name, the beginning of it, or its path. Raises ConfigError when it is none or
    several."""
    known = questions()
    short = Path(name).stem.removeprefix(PREFIX)
    matching = [short] if short in known else [one for one in known if short and one.startswith(short)]
    if len(matching) != 1:
        raise ConfigError(f"there is no question `{name}`", where=str(CONF), hint=config.suggest(short, known))
    return known[matching[0]]


def ask(connection: Connection, path: Path, parameters: dict[str, str]) -> Answer:
    """Run the question. `:name` in the SQL is a parameter. Raises ConfigError when one is missing or not used."""
    sql = path.read_text(encoding="utf-8").replace("%", "%%")
    wanted = {name for name in _PARAMETER.findall(sql) if name}
    if wanted != set(parameters):
        takes = ", ".join(f"--set {name}=..." for name in sorted(wanted)) or "no --set"
        raise ConfigError(f"this question takes {takes}", where=str(path))
    with connection.cursor() as cursor:
        cursor.execute(_PARAMETER.sub(lambda at: f"%({at[1]})s" if at[1] else at[0], sql), parameters)
        return Answer([column.name for column in cursor.description or ()], cursor.fetchall())


def as_json(answer: Answer) -> str:
    """A JSON array of objects; exact numbers keep all their digits, as texts."""
    import msgspec

    return msgspec.json.encode([dict(zip(answer.columns, row, strict=True)) for row in answer.rows]).decode()


def as_csv(answer: Answer) -> str:
    """CSV with a header, without a last line end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([answer.columns, *answer.rows])
    return text.getvalue().rstrip("\n")


def as_table(answer: Answer) -> str:
    """A table for people, numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    numbers = [
        all(isinstance(row[n], int | float) or _exact(row[n]) for row in answer.rows)
        for n in range(len(answer.columns))
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, number in zip(answer.columns, numbers, strict=True):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in answer.rows:
        table.add_row(*(_shown(value) for value in row))
    text = io.StringIO()
    Console(file=text, width=10_000).print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([line for line in lines if line] + [f"({len(answer.rows)} rows)"])


def _exact(value: object) -> bool:
    from decimal import Decimal

    return isinstance(value, Decimal)


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if _exact(value) else str(value)
