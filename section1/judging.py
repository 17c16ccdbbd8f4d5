"""Intake and the engine together: batches of files become both outputs, and all that is to be said of them.

How a date is read follows from all rows of its batch, and yet DuckDB reads the files once: it judges by what the
batch's first records prove. Where all of them prove something else that changes how a row is read, all is judged
again. Spark's workers read the files themselves, after intake, so there the whole evidence is known before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from batch.errors import ConfigError
from batch.ledger import Origin, Run
from batch.logs import log
from batch.progress import Progress, progress
from batch.publish import FOLDER_MODE, ChecksummedFile
from section1 import dates, lines, report, unique
from section1.discover import Source
from section1.engine import DateColumns, Decisions, Evidence, Judged, Work, add_evidence
from section1.intake import FileReport, Intake, Portion, Quarantine
from section1.judge import Statement
from section1.records import Chunk, Layout
from section1.settings import ROOT, Settings, Task

FILE_NAME = "applications.csv"


class Batch(msgspec.Struct):
    """Files that are judged together. `evidence` is given where it comes from an earlier run."""

    sources: list[Source]
    layout: Layout
    evidence: Evidence | None = None


class Judgement(msgspec.Struct):
    """Files and batches with what became of them; `files` are the outputs, and the spool is of no more use.

    `shared` has the values that should be unique and are not, where a column is named for that.
    """

    reports: list[FileReport]
    evidence: list[Evidence]
    decisions: list[Decisions]
    files: list[ChecksummedFile]
    shared: unique.Shared | None
    spool: Path


def layout(settings: Settings, *, carried: bool = False) -> Layout:
    """What a record of an application file is; with `carried`, of a published file of rejected rows."""
    return Layout(tuple(settings.input.columns), settings.input.max_record_bytes, carried)


def date_columns(settings: Settings, document_where: Callable[..., str]) -> DateColumns:
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


def judge(task: Task, run: Run, statement: Statement, batches: list[Batch], staged: Path, shared: str) -> Judgement:
    """Judge the batches into the staging folder of a run; a replay's rows tell where they came from.

    `shared` is where the workers of a cluster can write, and empty where they see the staging folder.
    """
    assumed = {n: _decided(task.settings, batch.evidence) for n, batch in enumerate(batches) if batch.evidence}
    while True:
        attempt = _Attempt(task, run, statement, batches, staged, shared, assumed)
        done = attempt.judge()
        if all(map(_read_alike, done.decisions, (attempt.assumed.get(n, {}) for n in range(len(batches))))):
            break
        log.info("dates: all records prove another order than the first ones; judging again")
        for folder in staged.iterdir():
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
        assumed = dict(enumerate(done.decisions))
    records, fragments = (sum(getattr(r, kind) for r in done.reports) for kind in ("records", "fragments"))
    log.info("intake: %s records and %s fragments", f"{records:,}", f"{fragments:,}")
    for told in report.explain(done.decisions):
        log.info("dates: %s", told)
    return done


def _decided(settings: Settings, evidence: Evidence) -> Decisions:
    """How each shape of each date is read on this evidence."""
    return {
        name: {
            shape: dates.decide(order, entry.fallback, evidence.get(name, {}).get(shape, dates.Evidence()))
            for shape, order in entry.shapes.items()
        }
        for name, entry in settings.dates.items()
    }


def _read_alike(decided: Decisions, assumed: Decisions) -> bool:
    """Whether the rows were read as decided. Where nothing was assumed, there were none."""
    return not assumed or all(
        decision.reads_like(assumed[name][shape])
        for name, shapes in decided.items()
        for shape, decision in shapes.items()
    )


class _Attempt:
    """One judgement of all batches. `assumed` has how their dates are read, by their place, as far as that is known."""

    def __init__(
        self, task: Task, run: Run, statement: Statement, batches: list[Batch], staged: Path, shared: str,
        assumed: dict[int, Decisions],
    ) -> None:  # fmt: skip
        self.settings = task.settings
        self.run = run
        self.batches = batches
        self.staged = staged
        self.assumed = dict(assumed)
        self.spool = staged / "spool"
        self.good = staged / self.settings.output.successful.folder
        self.bad = staged / self.settings.output.unsuccessful.folder
        for folder in (self.spool, self.good, self.bad):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        self.quarantine = Quarantine(self.bad / "quarantine")
        self.sources = [(n, source) for n, batch in enumerate(batches) for source in batch.sources]
        self.bytes = sum(source.bytes for _, source in self.sources)
        self.reports = [FileReport(name=s.name, sha256=s.sha256, bytes=s.bytes) for _, s in self.sources]
        self.evidence = [_no_evidence(self.settings) for _ in batches]
        columns = date_columns(self.settings, task.document.where)
        view = self.settings.input.view
        self.work = Work(
            batches[0].layout, columns, {}, statement, view, shared or str(self.spool), self.settings.output.unique
        )

    def judge(self) -> Judgement:
        """Judge and write everything."""
        engine = self._with_spark if self.settings.engine_name == "spark" else self._with_duckdb
        with progress("judge", self.bytes) as bar, closing(engine()) as verdicts:
            written, shared = self._write(verdicts, bar)
            files = [*written, *self.quarantine.close()]
        evidence = [batch.evidence or found for batch, found in zip(self.batches, self.evidence, strict=True)]
        decisions = [_decided(self.settings, found) for found in evidence]
        return Judgement(self.reports, evidence, decisions, files, shared, self.spool)

    def _take_in(self, wanted: tuple[str, ...] = ()) -> Iterator[tuple[int, Portion]]:
        """The portions of all files in order, each with the place of its batch."""
        size = self.settings.input.chunk_bytes
        for file, (number, source) in enumerate(self.sources):
            intake = Intake(self.batches[number].layout, size, self.quarantine, self.spool, wanted)
            for portion in intake.take(source, self.reports[file], file):
                yield number, portion

    def _with_duckdb(self) -> Generator[Judged]:
        from section1 import engine_duckdb

        def assumed() -> Iterator[Portion]:
            for number, portion in self._take_in():
                if number not in self.assumed:
                    self.assumed[number] = _decided(self.settings, self._proven(portion))
                self.work.decisions[portion.chunk.file] = self.assumed[number]
                yield portion

        for verdict in engine_duckdb.judging(self.work, assumed()):
            add_evidence(self.evidence[self.sources[verdict.chunk.file][0]], verdict.evidence)
            yield verdict

    def _with_spark(self) -> Generator[Judged]:
        from section1 import engine_spark

        return engine_spark.judging(self.settings, self.work, self.bytes, self._chunks)

    def _chunks(self) -> list[Chunk]:
        """All chunks, once what all of their dates prove is known."""
        dated = tuple(dict.fromkeys(column for column, _, _ in self.work.date_columns.values()))
        chunks: list[Chunk] = []
        with progress("intake", self.bytes) as bar:
            for number, portion in self._take_in(dated or self.work.layout.columns[:1]):
                add_evidence(self.evidence[number], self._proven(portion))
                chunks.append(portion.chunk)
                bar.update(portion.chunk.length)
        for file, (number, _) in enumerate(self.sources):
            if number not in self.assumed:
                self.assumed[number] = _decided(self.settings, self.evidence[number])
            self.work.decisions[file] = self.assumed[number]
        return chunks

    def _proven(self, portion: Portion) -> Evidence:
        """What a portion's dates prove."""
        return {
            name: dates.evidence(dates.readings(lines.one(portion.table[column]), shapes))
            for name, (column, shapes, _) in self.work.date_columns.items()
        }

    def _write(self, verdicts: Iterable[Judged], bar: Progress) -> tuple[list[ChecksummedFile], unique.Shared | None]:
        """Write the lines of both outputs; count the verdicts into the reports, and values that should be unique."""
        statement, parents = self.work.statement, self.run.parents
        with (
            ChecksummedFile(self.good / FILE_NAME) as accepted,
            ChecksummedFile(self.bad / FILE_NAME) as rejected,
            open(self.spool / "unique", "wb") as values,
        ):
            accepted.write(lines.accepted_header(statement))
            rejected.write(lines.rejected_header(statement, self.work.layout))
            values.write(unique.header())
            keys: list[Origin] = []
            for verdict in verdicts:
                report.count(self.reports[verdict.chunk.file], verdict.failed, statement)
                for block in verdict.accepted:
                    accepted.write(block)
                for block in verdict.rejected:
                    rejected.write(block)
                values.writelines(verdict.unique)
                keys += [(parents[verdict.chunk.file], *key) for key in verdict.origins]
                bar.update(verdict.chunk.length)
            for output in (accepted, rejected):
                output.sync_meanwhile()
            values.flush()
            rows = sum(told.accepted for told in self.reports)
            shared = unique.shared(self.spool / "unique", rows) if self.work.unique else None
        files = [accepted, rejected]
        if parents:
            with ChecksummedFile(self.staged / "origins.csv") as file:
                file.write(report.csv_lines([("run_id", "source_file", "record_number"), *keys]))
            files.append(file)
        return files, shared


def _no_evidence(settings: Settings) -> Evidence:
    return {name: {shape: dates.Evidence() for shape in entry.shapes} for name, entry in settings.dates.items()}
