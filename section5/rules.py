"""The data set as decision tables: every combination of the attributes once, and the class that the tables give it."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Annotated

import msgspec

from batch import config
from batch.errors import ConfigError, DataError

ANY = "*"
Values = Annotated[list[str], msgspec.Meta(min_length=2)]
Decisions = dict[tuple[str, ...], str]
"""What a table gives for each combination of its inputs' values."""


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`section5_rules.yaml`."""

    columns: dict[str, Values]
    tables: dict[str, str]
    sha256: str


class Schema(msgspec.Struct, frozen=True):
    """The columns and their values, in the order of the file. The first is the price, the last one the class."""

    columns: dict[str, list[str]]

    @property
    def names(self) -> list[str]:
        """All columns."""
        return list(self.columns)

    @property
    def price(self) -> str:
        """The column that is asked for."""
        return self.names[0]

    @property
    def outcome(self) -> str:
        """The column that the others decide."""
        return self.names[-1]

    @property
    def evidence(self) -> list[str]:
        """What may be known of a car when its price is asked for: all columns but the price."""
        return self.names[1:]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each column has."""
        return tuple(len(values) for values in self.columns.values())

    def combinations(self) -> list[tuple[str, ...]]:
        """Every combination of the attributes (all columns but the class), in the order of the file."""
        return list(itertools.product(*list(self.columns.values())[:-1]))


class Rules(msgspec.Struct, frozen=True):
    """The schema and, for each combination of the attributes, its class."""

    schema: Schema
    classes: list[str]
    sha256: str

    def csv(self) -> bytes:
        """The data file that the rules give. Raises DataError where its SHA-256 is not the one on the page."""
        text = rows_as_csv(self.schema, self.classes)
        found = hashlib.sha256(text).hexdigest()
        if found != self.sha256:
            raise DataError(
                f"the tables give a file with the SHA-256 {found}, and the page says {self.sha256}",
                where="section5_rules.yaml, sha256",
                hint="Undo the change of the tables or, where it is meant, write the new SHA-256 there.",
            )
        return text


def rows_as_csv(schema: Schema, classes: list[str]) -> bytes:
    """One line a combination, in the order of the schema, with its class; no header, lines end in LF."""
    rows = zip(schema.combinations(), classes, strict=True)
    return "".join(f"{','.join((*values, outcome))}\n" for values, outcome in rows).encode()


def load(path: Path) -> Rules:
    """Read the page. Raises ConfigError with the line of a table that is wrong, open or has a line without use."""
    document = config.read(path)
    page = config.convert(document, Page)
    schema = Schema(page.columns)
    if schema.outcome not in page.tables or len(page.columns) < 3:
        raise ConfigError(f"no table decides the last column, `{schema.outcome}`", where=document.where("tables"))
    for name, values in page.columns.items():
        if len(set(values)) < len(values):
            raise ConfigError(f"a value of `{name}` is given twice", where=document.where("columns", name))
    known = {name: values for name, values in page.columns.items() if name != schema.outcome}
    inputs: dict[str, list[str]] = {}
    decisions: dict[str, Decisions] = {}
    for name, text in page.tables.items():
        place = document.place("tables", name)
        allowed = page.columns.get(name)
        inputs[name], decisions[name] = _table(name, text, known, allowed, place)
        known = known | {name: sorted(set(decisions[name].values()))}
    classes = []
    for combination in schema.combinations():
        facts = dict(zip(schema.names, combination, strict=False))
        for name, decided in decisions.items():
            facts[name] = decided[tuple(facts[column] for column in inputs[name])]
        classes.append(facts[schema.outcome])
    return Rules(schema, classes, page.sha256)


def _table(
    name: str, text: str, known: dict[str, list[str]], allowed: list[str] | None, place: config.Place
) -> tuple[list[str], Decisions]:
    """A table's inputs and decisions. `allowed` are the values that it may give, where it decides a column."""
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines()) if line.strip()]
    heads = lines[0][1] if lines else []
    if not heads or heads[-1] != name or len(heads) < 2:
        raise ConfigError(f"the first line must name the inputs and then `{name}`", where=place(0))
    for head in heads[:-1]:
        if head not in known:
            raise ConfigError(
                f"`{head}` is no column and no table above", where=place(0), hint=config.suggest(head, known)
            )
    open_ = dict.fromkeys(itertools.product(*(known[head] for head in heads[:-1])))
    decided: Decisions = {}
    for number, cells in lines[1:]:
        if len(cells) != len(heads):
            raise ConfigError(f"{len(heads)} cells are needed and {len(cells)} are there", where=place(number))
        if allowed is not None and cells[-1] not in allowed:
            hint = config.suggest(cells[-1], allowed)
            raise ConfigError(f"`{cells[-1]}` is no value of `{name}`", where=place(number), hint=hint)
        fitting = [
            _fitting(head, cell, known[head], place(number)) for head, cell in zip(heads, cells[:-1], strict=False)
        ]
        new = [combination for combination in itertools.product(*fitting) if combination in open_]
        if not new:
            raise ConfigError("this line decides nothing that the lines above have left", where=place(number))
        for combination in new:
            del open_[combination]
            decided[combination] = cells[-1]
    if open_:
        raise ConfigError(f"no line decides {', '.join(next(iter(open_)))}", where=place(0))
    return heads[:-1], decided


def _fitting(head: str, cell: str, values: list[str], where: str) -> list[str]:
    if cell == ANY:
        return values
    words = cell.split(",")
    for word in words:
        if word not in values:
            raise ConfigError(f"`{word}` is no value of `{head}`", where=where, hint=config.suggest(word, values))
    return words
