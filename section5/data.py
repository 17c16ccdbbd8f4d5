"""The rows: read from a file and validated, or made from the rules; and what can be counted in them."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch import config
from batch.errors import InputError
from section5.rules import Rules, Schema, rows_as_csv

if TYPE_CHECKING:
    import numpy as np

LARGEST = 4 << 20  # bytes; the complete file has 52 kB
SHOWN = 3  # mistakes of one kind that a message names


class Data:
    """A complete grid: every combination of the attributes once, in the schema's order, each with its class.

    `codes` is an array of shape (rows, attributes) and `classes` one of shape (rows,); both hold the positions of the
    values in the schema. `sha256` is that of the rows in the schema's order, whatever their order in the file was.
    """

    def __init__(self, schema: Schema, classes: list[str]) -> None:
        import numpy as np

        position = {name: code for code, name in enumerate(schema.columns[schema.outcome])}
        self.schema = schema
        self.codes: np.ndarray[Any, Any] = np.indices(schema.shape[:-1]).reshape(len(schema.shape) - 1, -1).T
        self.classes: np.ndarray[Any, Any] = np.array([position[name] for name in classes])
        self.sha256 = hashlib.sha256(rows_as_csv(schema, classes)).hexdigest()

    def column(self, name: str) -> np.ndarray[Any, Any]:
        """The codes of one column, shape (rows,)."""
        if name == self.schema.outcome:
            return self.classes
        codes: np.ndarray[Any, Any] = self.codes[:, self.schema.names.index(name)]
        return codes

    def counts(self) -> np.ndarray[Any, Any]:
        """How often each combination of all columns occurs (0 or 1): an array with one axis a column."""
        import numpy as np

        counts: np.ndarray[Any, Any] = np.eye(self.schema.shape[-1])[self.classes].reshape(self.schema.shape)
        return counts


def load(path: Path, rules: Rules) -> Data:
    """Read a data file; raises InputError with the file and line of what is wrong.

    Accepted are comma-separated UTF-8 lines in any order, with every combination of the attributes exactly once and
    any of the known classes; a first line may name the columns, then in any order.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        hint = "The rules make one: sh section5_runner.sh run generate"
        raise InputError(f"cannot read the data: {error.strerror}", where=str(path), hint=hint) from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError("the data is not UTF-8 text", where=f"{path}:{line}") from error
    if len(raw) > LARGEST:
        raise InputError(f"the data is larger than {LARGEST >> 20} MiB; a complete grid has 52 kB", where=str(path))
    return Data(rules.schema, _classes(path, text, rules.schema))


def _classes(path: Path, text: str, schema: Schema) -> list[str]:
    """The class of each combination, in the schema's order."""
    order = schema.names
    lines_of: dict[tuple[str, ...], int] = {}
    class_of: dict[tuple[str, ...], str] = {}
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for number, cells in enumerate(reader):
            where = f"{path}:{reader.line_num}"
            if number == 0 and set(cells) & set(schema.names):
                order = _header(cells, schema, where)
                continue
            row = _row(cells, order, schema, where)
            *values, outcome = (row[name] for name in schema.names)
            combination = tuple(values)
            if first := lines_of.get(combination):
                what = (
                    "twice" if class_of[combination] == outcome else f"twice, as {class_of[combination]} and {outcome}"
                )
                raise InputError(
                    f"{_named(combination, schema)} stands there {what}; first in line {first}", where=where
                )
            lines_of[combination], class_of[combination] = reader.line_num, outcome
    except csv.Error as error:
        raise InputError(f"not a line of comma-separated values: {error}", where=f"{path}:{reader.line_num}") from error
    wanted = schema.combinations()
    if missing := [combination for combination in wanted if combination not in class_of]:
        shown = "; ".join(_named(combination, schema) for combination in missing[:SHOWN])
        more = "; ..." if len(missing) > SHOWN else ""
        raise InputError(
            f"{len(missing):,} of the {len(wanted):,} combinations are missing: {shown}{more}",
            where=str(path),
            hint="The price is inferred from a complete grid; without these rows its probabilities would be wrong.",
        )
    return [class_of[combination] for combination in wanted]


def _header(cells: list[str], schema: Schema, where: str) -> list[str]:
    for cell in cells:
        if cell not in schema.columns:
            raise InputError(f"unknown column `{cell}`", where=where, hint=config.suggest(cell, schema.columns))
        if cells.count(cell) > 1:
            raise InputError(f"column `{cell}` is there twice", where=where)
    if absent := [name for name in schema.names if name not in cells]:
        raise InputError(f"column `{absent[0]}` is missing", where=where)
    return cells


def _row(cells: list[str], order: list[str], schema: Schema, where: str) -> dict[str, str]:
    if len(cells) != len(order):
        expected = f"{len(order)} columns are needed ({', '.join(order)})"
        raise InputError(f"{expected} and {len(cells)} are there", where=where)
    row = dict(zip(order, cells, strict=True))
    for name, value in row.items():
        if value not in schema.columns[name]:
            what = f"`{value}` is no value of {name}" if value else f"{name} is empty"
            raise InputError(what, where=where, hint=f"Allowed are: {', '.join(schema.columns[name])}.")
    return row


def _named(combination: tuple[str, ...], schema: Schema) -> str:
    return " ".join(f"{name}={value}" for name, value in zip(schema.names, combination, strict=False))
