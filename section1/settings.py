"""What section1_process.yaml may say."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from batch import config
from batch.errors import ConfigError

ROOT = Path(__file__).parent.parent
ADDED_BY_INTAKE = ("source_file", "record_number")

Positive = Annotated[int, Meta(ge=1)]
Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Order = Literal["day_first", "month_first"]


class Section(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping in the YAML; unknown keys are refused."""


class Input(Section):
    """Where applications arrive and what a row of them is."""

    folder: str
    patterns: list[str]
    view: Identifier
    columns: Annotated[list[Identifier], Meta(min_length=1)]
    chunk_bytes: Annotated[int, Meta(ge=1 << 10)] = 8 << 20
    max_record_bytes: Annotated[int, Meta(ge=1 << 6)] = 1 << 20


class Dates(Section):
    """A text column that holds dates, and how its shapes are read.

    `shapes` maps a shape (each digit written as 9) to its order, or to `infer`.
    """

    column: str
    shapes: dict[str, Literal["day_first", "month_first", "infer"]]
    fallback: Literal["day_first", "month_first", "reject"] = "reject"
    key_file: str = ""


class Rule(Section):
    """A named predicate; with `after`, it is judged only where those rules passed."""

    test: str
    after: list[str] = []


class Spark(Section):
    """Where Spark runs, and its settings."""

    master: str = "local[*]"
    conf: dict[str, str] = {}


class Published(Section):
    """One of the two output folders and its columns: name -> SQL expression over the query's result."""

    folder: Identifier
    columns: dict[Identifier, str]


class Outputs(Section):
    """Where results go, and how many published runs are kept."""

    folder: str
    successful: Published
    unsuccessful: Published
    unique: str = ""
    keep_runs: Positive = 24 * 31


class Settings(Section, kw_only=True):
    """The whole file."""

    schedule: str
    engine: Literal["auto", "duckdb", "spark"] = "auto"
    spark: Spark = msgspec.field(default_factory=Spark)
    input: Input
    dates: dict[Identifier, Dates] = {}
    parameters: dict[str, Any] = {}
    query: str
    rules: Annotated[dict[Identifier, str | Rule], Meta(min_length=1, max_length=60)]
    output: Outputs

    def rule(self, name: str) -> Rule:
        """A rule in its long form."""
        rule = self.rules[name]
        return rule if isinstance(rule, Rule) else Rule(test=rule)

    @property
    def engine_name(self) -> str:
        """The engine that runs: `auto` means DuckDB unless a cluster master is configured."""
        if self.engine != "auto":
            return self.engine
        return "duckdb" if self.spark.master.startswith("local") else "spark"


class Task(msgspec.Struct, frozen=True):
    """The settings together with the document that they came from."""

    settings: Settings
    document: config.Document


def find(name: str) -> Path:
    """The configuration with this name: a path, or a file in section1/conf."""
    given, shipped = Path(name), ROOT / "section1" / "conf" / name
    return given if given.exists() or not shipped.exists() else shipped


def load(name: str, sql_kwargs: list[str], *, engine: str = "", source: str = "", destination: str = "") -> Task:
    """Read the task's configuration; the command line's options are laid over it.

    Raises ConfigError with file and line for everything that can be told without reading SQL.
    """
    document = config.read(find(name))
    settings = config.convert(document, Settings)
    replaced = msgspec.structs.replace(
        settings,
        engine=engine or settings.engine,
        parameters=config.override(settings.parameters, sql_kwargs),
        input=msgspec.structs.replace(settings.input, folder=_absolute(source, settings.input.folder)),
        output=msgspec.structs.replace(settings.output, folder=_absolute(destination, settings.output.folder)),
    )
    task = Task(replaced, document)
    _check(task)
    return task


def _absolute(typed: str, configured: str) -> str:
    """A folder typed on the command line is relative to where it was typed, a configured one to the project."""
    return str(Path(typed).absolute() if typed else ROOT / configured)


def _check(task: Task) -> None:
    """What the types cannot say."""
    settings, document = task.settings, task.document
    columns = settings.input.columns
    if len({c.lower() for c in columns}) < len(columns) or set(columns) & set(ADDED_BY_INTAKE):
        raise ConfigError(
            f"input columns must differ from each other and from {', '.join(ADDED_BY_INTAKE)}",
            where=document.where("input", "columns"),
        )
    for name, dates in settings.dates.items():
        if dates.column not in columns:
            raise ConfigError(
                f"unknown column `{dates.column}`",
                where=document.where("dates", name, "column"),
                hint=config.suggest(dates.column, columns),
            )
    judged: list[str] = []
    for name in settings.rules:
        for earlier in settings.rule(name).after:
            if earlier not in judged:
                raise ConfigError(
                    f"rule `{name}` comes after `{earlier}`, which is not a rule above it",
                    where=document.where("rules", name),
                    hint=config.suggest(earlier, judged) if judged else "Move it below that rule.",
                )
        judged.append(name)
    if settings.output.unique and settings.output.unique not in settings.output.successful.columns:
        raise ConfigError(
            f"unknown column `{settings.output.unique}`",
            where=document.where("output", "unique"),
            hint=config.suggest(settings.output.unique, settings.output.successful.columns),
        )
    if settings.output.successful.folder == settings.output.unsuccessful.folder:
        raise ConfigError("the two outputs need two folders", where=document.where("output", "unsuccessful", "folder"))
    for key, value in settings.parameters.items():
        words = value if isinstance(value, list) else [value]
        if not all(isinstance(word, str | int | float | date) for word in words) or not words:
            raise ConfigError(
                f"parameter `{key}` must be a text, number, date or a list of texts",
                where=document.where("parameters", key),
            )
