"""A small task as text and as settings, for tests of what its SQL may say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from section1 import settings
from section1.settings import Task

QUERY = "select *, upper(name) as full_name\nfrom applications\n"
RULES = {"name": "full_name <> ''"}
SUCCESSFUL = {"name": "full_name"}
FIRST = 6  # the query's first line in the file

Make = Callable[..., Task]


def maker(folder: Path) -> Make:
    """Makes small tasks: the columns, the query, the rules and the output columns as given."""

    def make(
        text: str = QUERY,
        rules: dict[str, Any] | None = None,
        successful: dict[str, str] | None = None,
        unsuccessful: dict[str, str] | None = None,
        columns: str = "name, email, born",
        view: str = "applications",
    ) -> Task:
        block = "".join(f"  {line}\n" for line in text.splitlines())
        path = folder / "task.yaml"
        path.write_text(
            "schedule: '0 * * * *'\n"
            f"input: {{folder: in, patterns: ['*.csv'], view: {view}, columns: [{columns}]}}\n"
            "dates: {birth: {column: born, shapes: {9999-99-99x: infer}}}\n".replace("9999-99-99x", '"9999-99-99"')
            + "parameters: {as_of: 2022-01-01, words: [Mr, Dr]}\n"
            f"query: |\n{block}"
            f"rules: {msgspec.json.encode(rules or RULES).decode()}\n"
            "output:\n  folder: out\n"
            f"  successful: {{folder: good, columns: {msgspec.json.encode(successful or SUCCESSFUL).decode()}}}\n"
            f"  unsuccessful: {{folder: bad, columns: {msgspec.json.encode(unsuccessful or {}).decode()}}}\n",
            encoding="utf-8",
        )
        return settings.load(str(path), [])

    return make
