"""A run from end to end: discover -> intake -> judge -> publish -> record."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batch import logs
from batch.errors import BatchError, ConfigError, InputError, PublishError
from batch.ledger import Run
from batch.logs import log
from batch.publish import Output, writing
from section1 import outputs
from section1.settings import Settings, Task, next_run

# The steps are imported once the lock is held: a second run says within 0.1 s that it is one too many.
if TYPE_CHECKING:
    from section1.discover import Source
    from section1.report import Summary


def run_id_now() -> str:
    """An id that sorts by time: UTC to the millisecond and the process."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z-{os.getpid()}"


@contextmanager
def exclusively(task: Task, output: Output, kind: Literal["run", "replay", "backfill"]) -> Iterator[Run]:
    """Hold the lock, mend what an interrupted run left behind, and record a failure as one."""
    output.prepare()
    run = Run(
        run_id=run_id_now(),
        kind=kind,
        status="failed",
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        engine=task.settings.engine_name,
    )
    logs.configure(run.run_id)
    with writing(output.root), output.exclusive(f"run {run.run_id}"):
        begun = time.monotonic()
        next_run(task, datetime.now(UTC))  # the metrics name it: a bad schedule stops the run before it begins
        try:
            with writing(output.root), _reading(Path(task.settings.input.folder)):
                for done in output.recover():
                    log.warning(done)
                yield run
        except ConfigError:
            raise
        except Exception as error:
            if output.published() == run.run_id:
                log.error("run %s is published; what came after failed, and the next run completes it", run.run_id)
            else:
                run.status, run.seconds = "failed", round(time.monotonic() - begun, 3)
                run.message = error.what if isinstance(error, BatchError) else type(error).__name__
                run.contents = []
                _record_failure(task, output, run)
            raise
        finally:
            output.clean()


def _record_failure(task: Task, output: Output, run: Run) -> None:
    """Record a failed run; where even that is not possible, the failure itself is what is reported."""
    from section1 import metrics

    try:
        output.ledger.record(run)
        metrics.write(output, task)
    except PublishError as error:
        log.error("the failure could not be recorded: %s", error.what)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Report an input file that cannot be read any more as an InputError."""
    from section1 import discover

    try:
        yield
    except OSError as error:
        if error.filename is None or not Path(os.fsdecode(error.filename)).is_relative_to(folder):
            raise
        raise InputError(
            f"cannot be read: {error.strerror}",
            where=discover.printable(os.fsdecode(error.filename)),
            hint="Nothing was published. The next run tries again.",
        ) from error


def process(task: Task) -> Summary:
    """Judge the files that are new and publish them; with none, publish nothing and record that.

    Raises BusyError, InputError, DataError, EngineError or PublishError; the last published pair stays in all cases.
    """
    settings, output = task.settings, outputs.configured(task.settings)
    with exclusively(task, output, "run") as run:
        from section1 import discover, duckdb_session, judge, judging, pipeline, report

        statement = judge.statement(task)
        source, known = settings.input, output.state / "digests.json"
        found = discover.discover(source.folder, source.patterns, known, meanwhile=duckdb_session.warm_up)
        new = new_sources(found.sources, output, settings, run)
        folder = report.shown(settings.input.folder)
        log.info("discover: %d of %d files are new in %s", len(new), len(found.sources), folder)
        run.notices += [f"{name} {reason}" for name, reason in found.skipped.items()]
        for notice in run.notices:
            log.warning(notice)
        batch = judging.Batch(new, judging.layout(settings))
        return pipeline.publish(task, output, run, statement, [batch])


def new_sources(sources: list[Source], output: Output, settings: Settings, run: Run) -> list[Source]:
    """The sources that were not processed yet, each content once; says in the run's notices what is remarkable."""
    from section1 import pipeline

    refusals = {source.sha256: pipeline.refusal(source.sha256, settings) for source in sources}
    processed = output.ledger.processed([*refusals, *refusals.values()])
    known = output.ledger.known_names(source.name for source in sources)
    new: dict[str, Source] = {}
    for source in sources:
        if {source.sha256, refusals[source.sha256]} & processed:
            continue
        if source.sha256 in new:
            run.notices.append(f"{source.name} has the same content as {new[source.sha256].name}; it counts once")
            continue
        if source.name in known:
            run.notices.append(f"{source.name} has new content under the name of a file that was processed before")
        new[source.sha256] = source
    return list(new.values())
