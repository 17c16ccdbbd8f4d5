"""From files to a published run: the four steps that an hourly run and a replay share."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from batch.errors import ConfigError, DataError
from batch.ledger import Content, Origin, Run
from batch.logs import log
from batch.progress import Progress, progress
from batch.publish import FOLDER_MODE, DurableFile, Output
from section1 import dates, discover, engine, judge, metrics, report
from section1.discover import Source
from section1.intake import Evidence, FileReport, Intake, Quarantine
from section1.records import Chunk, Layout
from section1.settings import ROOT, Settings, Task

FILE_NAME = "applications.csv"


class Batch(msgspec.Struct):
    """Files that are judged together. `evidence` is given where it comes from an earlier run."""

    sources: list[Source]
    layout: Layout
    evidence: Evidence | None = None


class Prepared(msgspec.Struct):
    """What intake leaves for the engine."""

    reports: list[FileReport]
    chunks: list[Chunk]
    decisions: list[engine.Decisions]


def layout(settings: Settings, *, carried: bool = False) -> Layout:
    """What a record of an application file is; with `carried`, of a published file of rejected rows."""
    return Layout(tuple(settings.input.columns), settings.input.max_record_bytes, carried)


def refusal(sha256: str, settings: Settings) -> str:
    """A refused file's key in the ledger: with another input section in the YAML, it is looked at again."""
    layout = msgspec.json.encode(settings.input.columns)
    return f"{sha256} refused by {hashlib.sha256(layout).hexdigest()[:16]}"


def date_columns(settings: Settings, document_where: Callable[..., str]) -> engine.DateColumns:
    """The configured dates as the readers need them: column, shapes and key.

    Raises ConfigError for a shape that is none and for a key file that cannot be read or is too short.
    """
    found = {}
    for name, entry in settings.dates.items():
        try:
            shapes = [dates.parse_shape(shape) for shape in entry.shapes]
        except ConfigError as error:
            error.where = document_where("dates", name, "shapes")
            raise
        key = b""
        if entry.key_file:
            where = document_where("dates", name, "key_file")
            try:
                key = (ROOT / entry.key_file).read_bytes().strip()
            except OSError as error:
                hint = f"Make one: mkdir -p secrets && openssl rand -hex 32 > {entry.key_file}"
                raise ConfigError(f"cannot read the key: {error.strerror}", where=where, hint=hint) from error
            if len(key) < 16:
                raise ConfigError("the key is shorter than 16 bytes", where=where)
        found[name] = (entry.column, shapes, key)
    return found


def publish(task: Task, output: Output, run: Run, statement: judge.Statement, batches: list[Batch]) -> report.Summary:
    """Intake, judge, publish and record the batches of a run."""
    settings, begun = task.settings, time.monotonic()
    columns = date_columns(settings, task.document.where)
    if not any(batch.sources for batch in batches):
        return _nothing_new(task, output, run, begun)
    staged = output.state / "staging" / run.run_id
    staged = staged if staged.exists() else output.stage(run.run_id)
    spool = staged / "spool"
    spool.mkdir(exist_ok=True)
    good, bad = (staged / published.folder for published in (settings.output.successful, settings.output.unsuccessful))
    for folder in (good, bad):
        folder.mkdir(mode=FOLDER_MODE)
    quarantine = Quarantine(bad / "quarantine")

    total = sum(source.bytes for batch in batches for source in batch.sources)
    with progress("intake", total) as bar:
        prepared, evidence = _take_in(settings, columns, batches, quarantine, spool, bar)
    log.info(
        "intake: %s records and %s fragments",
        f"{sum(r.records for r in prepared.reports):,}",
        f"{quarantine.fragments:,}",
    )
    for refused in (r for r in prepared.reports if r.refused):
        run.notices.append(f"{refused.name} is refused whole: {refused.refused}; it is kept in the quarantine")
        log.warning(run.notices[-1])
    for lines in report.explain(prepared.decisions):
        log.info("dates: %s", lines)

    work = engine.Work(
        prepared.chunks,
        batches[0].layout,
        columns,
        prepared.decisions,
        statement,
        settings.input.view,
        str(spool),
    )
    origins = staged / "origins.csv" if run.parents else None
    with progress("judge", sum(chunk.length for chunk in prepared.chunks)) as bar:
        files = _judge(settings, work, prepared.reports, good, bad, origins, bar, run)
    files += quarantine.close()
    _balance(batches, prepared.reports)
    unique = settings.output.unique
    shared = report.shared_values(good / FILE_NAME, unique, work.folder) if unique else None
    accepted = sum(r.accepted for r in prepared.reports)
    if run.parents and not accepted:
        return _nothing_new(task, output, run, begun)

    run.status = "published"
    run.counts, run.reasons = report.totals(prepared.reports)
    if shared is not None:
        run.counts |= {"shared_ids": shared.values, "rows_sharing_ids": shared.rows}
    if not run.parents:
        run.contents = [
            Content(refusal(r.sha256, settings) if r.refused else r.sha256, r.name) for r in prepared.reports
        ]
    shutil.rmtree(spool)
    run.seconds = round(time.monotonic() - begun, 3)
    manifest = {
        "parameters": settings.parameters,
        "successful": good.name,
        "unsuccessful": bad.name,
        "files": prepared.reports,
        "dates": report.explain(prepared.decisions),
        "evidence": evidence,
        "shared": shared.examples if shared else [],
        "outputs": {str(file.path.relative_to(staged)): {"bytes": file.bytes, "sha256": file.sha256} for file in files},
    }
    output.publish(run, staged, manifest, [good.name, bad.name])
    return _finished(task, output, run)


def _nothing_new(task: Task, output: Output, run: Run, begun: float) -> report.Summary:
    run.status = "nothing_new"
    run.seconds = round(time.monotonic() - begun, 3)
    output.ledger.record(run)
    return _finished(task, output, run)


def _finished(task: Task, output: Output, run: Run) -> report.Summary:
    output.prune(task.settings.output.keep_runs)
    metrics.write(output, task)
    summary = report.summary(run, output, task.settings)
    log.info("record: %s", run.status, extra={"figures": {"summary": msgspec.to_builtins(summary)}})
    return summary


def _take_in(
    settings: Settings,
    columns: engine.DateColumns,
    batches: list[Batch],
    quarantine: Quarantine,
    spool: Path,
    bar: Progress,
) -> tuple[Prepared, Evidence]:
    """Scan all files; decide for each batch how its dates are read."""
    prepared = Prepared([], [], [])
    evidence: Evidence = {}
    for batch in batches:
        evidence = _no_evidence(settings)
        intake = Intake(batch.layout, settings.input.chunk_bytes, columns, quarantine, spool)
        for source in batch.sources:
            taken, chunks = intake.take(source, evidence, len(prepared.reports))
            prepared.reports.append(taken)
            prepared.chunks += chunks
            bar.update(source.bytes)
        evidence = batch.evidence or evidence
        decided = {
            name: {
                shape: dates.decide(order, entry.fallback, evidence.get(name, {}).get(shape, dates.Evidence()))
                for shape, order in entry.shapes.items()
            }
            for name, entry in settings.dates.items()
        }
        prepared.decisions += [decided] * len(batch.sources)
    return prepared, evidence


def _no_evidence(settings: Settings) -> Evidence:
    return {name: {shape: dates.Evidence() for shape in entry.shapes} for name, entry in settings.dates.items()}


def _judge(
    settings: Settings,
    work: engine.Work,
    reports: list[FileReport],
    good: Path,
    bad: Path,
    origins: Path | None,
    bar: Progress,
    run: Run,
) -> list[DurableFile]:
    """Let the engine judge all chunks and write both outputs; counts into the reports."""
    if settings.engine_name == "spark":
        from section1.engine_spark import judging
    else:
        from section1.engine_duckdb import judging
    with DurableFile(good / FILE_NAME) as accepted, DurableFile(bad / FILE_NAME) as rejected:
        accepted.write(work.statement.accepted_header.encode())
        rejected.write(work.statement.rejected_header.encode())
        keys: list[Origin] = []
        with judging(settings, work) as verdicts:
            for verdict in verdicts:
                for block in verdict.accepted:
                    accepted.write(block)
                for block in verdict.rejected:
                    rejected.write(block)
                counted = reports[verdict.chunk.file]
                report.count(counted, verdict.failed, settings)
                keys += [(run.parents[verdict.chunk.file], *key) for key in verdict.origins]
                bar.update(verdict.chunk.length)
    files = [accepted, rejected]
    if origins is not None:
        with DurableFile(origins) as file:
            file.write(report.csv_lines([("run_id", "source_file", "record_number"), *keys]))
        files.append(file)
    return files


def _balance(batches: list[Batch], reports: list[FileReport]) -> None:
    """Nothing was lost, nothing came twice, and no file changed meanwhile; else DataError and nothing is published."""
    for source in (source for batch in batches for source in batch.sources):
        if discover.stamp(source.path) != source.stamp:
            raise DataError(
                f"{source.name} changed while it was judged",
                hint="Nothing was published. Put files into the folder whole (write elsewhere, then rename).",
            )
    for file in reports:
        if not file.balanced:
            raise DataError(
                f"the ledger does not balance: {file.records} records came in, {file.accepted} were accepted and "
                f"{file.rejected} rejected; {file.header_bytes} + {file.record_bytes} + {file.fragment_bytes} of "
                f"{file.bytes} bytes are accounted for",
                where=file.name,
                hint="Nothing was published. A query that drops or repeats rows does this; see `dry-run`.",
            )
