"""What section1_process.yaml may say."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from batch import config, s3_url
from batch.alerts import Alerts
from batch.config import Name
from batch.errors import ConfigError
from section1 import dates

ROOT = Path(__file__).parent.parent
ADDED_BY_INTAKE = ("source_file", "record_number")
ADDED_BY_DATES = ("date", "ymd", "digest", "status")
FAILED_RULES = "failed_rules"
KEPT_BY_PUBLISHING = ("runs", "state", "current")

# The environment has the last word on what differs between deployments of one YAML: the container's cron and cluster.
SCHEDULE = "SECTION1_SCHEDULE"
MASTER = "SECTION1_MASTER"
ENDPOINT = "AWS_ENDPOINT_URL_S3"
REGION = "AWS_DEFAULT_REGION"

Positive = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(min_length=1)]


class Section(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping in the YAML; unknown keys are refused."""


class Input(Section):
    """Where applications arrive and what a row of them is."""

    folder: Text
    patterns: Annotated[list[Text], Meta(min_length=1)]
    view: Name
    columns: Annotated[list[Name], Meta(min_length=1)]
    chunk_bytes: Annotated[int, Meta(ge=1 << 10, le=1 << 28)] = 8 << 20  # Arrow has 2 GB of lines at most
    max_record_bytes: Annotated[int, Meta(ge=1 << 6)] = 1 << 20


class Dates(Section):
    """A text column that holds dates, and how its shapes are read.

    `shapes` maps a shape (each digit written as 9) to its order, or to `infer`.
    """

    column: str
    shapes: Annotated[dict[str, Literal["day_first", "month_first", "infer"]], Meta(min_length=1)]
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


class S3(Section):
    """The store of s3a:// folders; without endpoint and region, AWS's own settings hold. It has no place for secrets.

    `folder` is where runs are written before they go up, `lock_minutes` the age at which a dead driver's lock ends.
    """

    endpoint: str = ""
    region: str = ""
    folder: Text = "section1/resource/dest/s3"
    lock_minutes: Positive = 120


class Published(Section):
    """One of the two output folders and its columns: name -> SQL expression over the query's result."""

    folder: Name
    columns: dict[Name, str]


class Outputs(Section):
    """Where results go, and how many published runs are kept."""

    folder: Text
    successful: Published
    unsuccessful: Published
    unique: str = ""
    keep_runs: Positive = 24 * 31


class Settings(Section, kw_only=True):
    """The whole file."""

    schedule: str
    engine: Literal["auto", "duckdb", "spark"] = "auto"
    spark: Spark = msgspec.field(default_factory=Spark)
    s3: S3 = msgspec.field(default_factory=S3)
    input: Input
    dates: dict[Name, Dates] = {}
    parameters: dict[Name, Any] = {}
    query: str
    rules: Annotated[dict[Name, str | Rule], Meta(min_length=1, max_length=60)]
    output: Outputs
    alerts: Alerts = msgspec.field(default_factory=Alerts)

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
    """The configuration with this name: a path, or a file in section1/conf. Raises ConfigError when there is none."""
    folder = ROOT / "section1" / "conf"
    given, shipped = Path(name), folder / name
    if given.exists():
        return given
    if not shipped.exists():
        hint = config.suggest(name, [path.name for path in folder.glob("*.yaml")])
        raise ConfigError(f"there is no such file, here or in {folder}", where=name, hint=hint)
    return shipped


def load(name: str, sql_kwargs: list[str], *, engine: str = "", source: str = "", destination: str = "") -> Task:
    """Read the task's configuration; the command line's options are laid over it.

    Raises ConfigError with file and line for everything that can be told without reading SQL.
    """
    document = config.read(find(name))
    settings = config.convert(document, Settings)
    replaced = msgspec.structs.replace(
        settings,
        schedule=os.environ.get(SCHEDULE) or settings.schedule,
        engine=engine or settings.engine,
        spark=msgspec.structs.replace(settings.spark, master=os.environ.get(MASTER) or settings.spark.master),
        parameters=config.override(settings.parameters, sql_kwargs),
        input=msgspec.structs.replace(settings.input, folder=_absolute(source, settings.input.folder)),
        output=msgspec.structs.replace(settings.output, folder=_absolute(destination, settings.output.folder)),
    )
    # by AWS's own names, so that they reach Spark's workers as well
    for variable, value in ((ENDPOINT, replaced.s3.endpoint), (REGION, replaced.s3.region)):
        if value:
            os.environ.setdefault(variable, value)
    task = Task(replaced, document)
    _check(task)
    return task


def _absolute(typed: str, configured: str) -> str:
    """A folder typed on the command line is relative to where it was typed, a configured one to the project."""
    folder = typed or configured
    if scheme := re.match(r"[a-z0-9]+://", folder):
        bucket, prefix = s3_url.split(folder)
        odd = {"", ".", ".."} & set(prefix.rstrip("/").split("/")) if prefix else set()
        if scheme[0] != s3_url.SCHEME or not bucket or odd:
            hint = f"Write a folder as a path, or as {s3_url.SCHEME}bucket/prefix."
            raise ConfigError("is neither a path nor an address that this job knows", where=folder, hint=hint)
        return folder.rstrip("/")
    return str(Path(typed).absolute() if typed else ROOT / configured)


def next_run(task: Task, now: datetime) -> datetime:
    """When the schedule starts the next run, in the time zone of `now`. Raises ConfigError for a bad schedule."""
    from cronsim import CronSim, CronSimError

    where = task.document.where("schedule")
    try:
        return next(CronSim(task.settings.schedule, now))
    except CronSimError as error:
        hint = 'Write minute, hour, day, month and weekday as cron does: "0 * * * *" is each full hour.'
        raise ConfigError(f"not a schedule: {error}", where=where, hint=hint) from error


def _check(task: Task) -> None:
    """What the types cannot say."""
    _check_dates(task)
    _check_names(task)
    _check_rules(task)
    settings, where = task.settings, task.document.where
    if settings.output.unique and settings.output.unique not in settings.output.successful.columns:
        raise ConfigError(
            f"unknown column `{settings.output.unique}`",
            where=where("output", "unique"),
            hint=config.suggest(settings.output.unique, settings.output.successful.columns),
        )
    if settings.alerts.webhook and not settings.alerts.webhook.startswith(("http://", "https://")):
        raise ConfigError("the webhook is not an http or https address", where=where("alerts", "webhook"))
    for key, value in settings.parameters.items():
        words = value if isinstance(value, list) else [value]
        if not words or "" in words or not all(isinstance(word, str | int | float | date) for word in words):
            raise ConfigError(
                f"parameter `{key}` must be a text, number, date or a list of texts that are not empty",
                where=where("parameters", key),
            )
        config.literal(key, value, where("parameters", key))


def _check_dates(task: Task) -> None:
    settings, where = task.settings, task.document.where
    for name, entry in settings.dates.items():
        if entry.column not in settings.input.columns:
            raise ConfigError(
                f"unknown column `{entry.column}`",
                where=where("dates", name, "column"),
                hint=config.suggest(entry.column, settings.input.columns),
            )
        for shape in entry.shapes:
            try:
                dates.parse_shape(shape)
            except ConfigError as error:
                error.where = where("dates", name, "shapes", shape)
                raise


def _check_names(task: Task) -> None:
    """Names that may not meet: engines do not tell upper from lower case."""
    settings, where = task.settings, task.document.where
    output = settings.output
    added = [f"{name}_{what}" for name in settings.dates for what in ADDED_BY_DATES]
    published = [*settings.input.columns, *ADDED_BY_INTAKE[:2], FAILED_RULES]
    _distinct(
        "input column", settings.input.columns, [*ADDED_BY_INTAKE, *added, FAILED_RULES], where, "input", "columns"
    )
    _distinct("date", list(settings.dates), [], where, "dates")
    _distinct("rule", list(settings.rules), [], where, "rules")
    _distinct("output column", list(output.successful.columns), [], where, "output", "successful", "columns")
    _distinct("output column", list(output.unsuccessful.columns), published, where, "output", "unsuccessful", "columns")
    if not output.successful.columns:
        raise ConfigError("an output needs a column", where=where("output", "successful", "columns"))
    for kind, folder, taken in (
        ("successful", output.successful.folder, KEPT_BY_PUBLISHING),
        ("unsuccessful", output.unsuccessful.folder, (*KEPT_BY_PUBLISHING, output.successful.folder)),
    ):
        _distinct("folder", [folder], taken, where, "output", kind, "folder")


def _distinct(kind: str, names: list[str], taken: Iterable[str], where: Callable[..., str], *keys: str) -> None:
    """Raise ConfigError when a name occurs twice or is taken."""
    seen = {name.lower() for name in taken}
    for position, name in enumerate(names):
        if name.lower() in seen:
            key = str(position) if kind == "input column" else name
            raise ConfigError(f"{kind} `{name}`: this name is already taken", where=where(*keys, key))
        seen.add(name.lower())


def _check_rules(task: Task) -> None:
    settings = task.settings
    judged: list[str] = []
    for name in settings.rules:
        for earlier in settings.rule(name).after:
            if earlier not in judged:
                raise ConfigError(
                    f"rule `{name}` comes after `{earlier}`, which is not a rule above it",
                    where=task.document.where("rules", name, "after"),
                    hint=config.suggest(earlier, judged) if judged else "Move it below that rule.",
                )
        judged.append(name)
