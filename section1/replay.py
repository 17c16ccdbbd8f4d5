"""Rejected rows judged again: of one run (replay) or of all runs of a range of time (backfill)."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from batch.errors import ConfigError
from batch.publish import Output
from section1 import discover, judge, judging, outputs, pipeline, reading, report
from section1.engine import Evidence
from section1.job import exclusively
from section1.judging import Batch
from section1.settings import Settings, Task


def replay(task: Task, run_id: str) -> report.Summary:
    """Judge the rejected rows of a past run again, under today's rules, and publish those that pass now, once.

    Rows that an earlier replay published are left out. Dates are read by the evidence of the run that they came in.
    Raises ConfigError for an unknown run, InputError for one that is no longer kept.
    """
    return _again(task, "replay", lambda _: [run_id])


def backfill(task: Task, first: str, last: str) -> report.Summary:
    """Replay all published hourly runs that started from `first` to `last`, as one run.

    Both are dates or times in ISO 8601 (UTC) and included. Raises ConfigError for something that is no date,
    InputError when a run of the range is no longer kept.
    """
    try:
        begin, end = _moment(first, "00:00:00"), _moment(last, "23:59:59")
    except ValueError as error:
        raise ConfigError(f"not a date: {error}", hint="Write it as 2022-01-31 or 2022-01-31T14:00.") from error

    def chosen(output: Output) -> list[str]:
        runs = (run for run in output.ledger.runs("published") if run.kind == "run")
        return [run.run_id for run in runs if begin <= datetime.fromisoformat(run.started) <= end]

    return _again(task, "backfill", chosen)


def _moment(text: str, time: str) -> datetime:
    """A day, at this time, or a moment of its own; without a zone it is UTC."""
    moment = datetime.fromisoformat(f"{text}T{time}" if len(text) <= len("2022-01-31") else text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _again(task: Task, kind: Literal["replay", "backfill"], choose: Callable[[Output], list[str]]) -> report.Summary:
    output = outputs.configured(task.settings)
    with exclusively(task, output, kind) as run:
        statement = judge.statement(task)
        run.parents = _originals(output, choose(output))
        spool = output.stage(run.run_id) / "spool"
        spool.mkdir()
        batches = [_rejected_of(output, parent, task.settings, spool) for parent in run.parents]
        return pipeline.publish(task, output, run, statement, batches)


def _originals(output: Output, run_ids: list[str]) -> list[str]:
    """The runs whose rejected rows are meant: a replay stands for the runs that it replayed."""
    runs = {run.run_id: run for run in output.ledger.runs("published")}
    if unknown := [run_id for run_id in run_ids if run_id not in runs]:
        raise ConfigError(
            f"there is no published run {unknown[0]}",
            where=output.address,
            hint="`section1_manage.py status` lists the runs.",
        )
    originals = [runs[run_id].parents or [run_id] for run_id in run_ids]
    return sorted({parent for parents in originals for parent in parents})


def _rejected_of(output: Output, parent: str, settings: Settings, spool: Path) -> Batch:
    """The rejected rows of a run as a batch, without those that a replay has published since."""
    manifest = output.manifest(parent)
    path = output.file(parent, f"{manifest['unsuccessful']}/{judging.FILE_NAME}")
    done = output.ledger.replayed(parent)
    if done:
        kept = spool / f"{parent}.csv"
        csv.field_size_limit(sys.maxsize)
        with (
            open(path, newline="", encoding="utf-8") as old,
            open(kept, "w", newline="", encoding="utf-8") as new,
        ):
            # with CRLF as the line end, a lone \r within a field is quoted too
            reader, writer = csv.reader(old), csv.writer(new, lineterminator="\r\n")
            header = next(reader)
            writer.writerow(header)
            name, number = header.index("source_file"), header.index("record_number")
            writer.writerows(row for row in reader if (row[name], int(row[number])) not in done)
        path = kept
    size = path.stat().st_size
    with open(path, "rb") as file:
        sha256 = discover.digest(file, size, packed=False)
    source = discover.Source(str(path), parent, sha256, size, reading.stamp(str(path)))
    evidence = msgspec.convert(manifest["evidence"], Evidence)
    return Batch([source], judging.layout(settings, carried=True), evidence)
