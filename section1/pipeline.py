"""From files to a published run: the four steps that an hourly run and a replay share."""

from __future__ import annotations

import hashlib
import shutil
import time

import msgspec

from batch.errors import DataError
from batch.ledger import Content, Run
from batch.logs import log
from batch.publish import Output
from section1 import judge, judging, metrics, reading, report
from section1.intake import FileReport
from section1.judging import Batch
from section1.settings import Settings, Task


def refusal(sha256: str, settings: Settings) -> str:
    """A refused file's key in the ledger: with another input section in the YAML, it is looked at again."""
    layout = msgspec.json.encode(settings.input.columns)
    return f"{sha256} refused by {hashlib.sha256(layout).hexdigest()[:16]}"


def publish(task: Task, output: Output, run: Run, statement: judge.Statement, batches: list[Batch]) -> report.Summary:
    """Intake, judge, publish and record the batches of a run."""
    settings, begun = task.settings, time.monotonic()
    if not any(batch.sources for batch in batches):
        return _nothing_new(task, output, run, begun)
    staged = output.state / "staging" / run.run_id
    staged = staged if staged.exists() else output.stage(run.run_id)
    on_cluster = settings.engine_name == "spark" and not settings.spark.master.startswith("local")
    done = judging.judge(task, run, statement, batches, staged, output.shared(run.run_id) if on_cluster else "")
    _balance(batches, done.reports)
    reports, shared = done.reports, done.shared
    for refused in (r for r in reports if r.refused):
        run.notices.append(f"{refused.name} is refused whole: {refused.refused}; it is kept in the quarantine")
        log.warning(run.notices[-1])
    good, bad = settings.output.successful.folder, settings.output.unsuccessful.folder
    if run.parents and not any(r.accepted for r in reports):
        return _nothing_new(task, output, run, begun)

    run.status = "published"
    run.counts, run.reasons = report.totals(reports)
    if shared is not None:
        run.counts |= {"shared_ids": shared.values, "rows_sharing_ids": shared.rows}
    if not run.parents:
        run.contents = [Content(refusal(r.sha256, settings) if r.refused else r.sha256, r.name) for r in reports]
    shutil.rmtree(done.spool)
    run.seconds = round(time.monotonic() - begun, 3)
    manifest = {
        "parameters": settings.parameters,
        "successful": good,
        "unsuccessful": bad,
        "files": reports,
        "dates": report.explain(done.decisions),
        "evidence": done.evidence[-1],
        "shared": shared.examples if shared else [],
        "outputs": {str(f.path.relative_to(staged)): {"bytes": f.bytes, "blake3": f.blake3} for f in done.files},
    }
    output.publish(run, staged, manifest, [good, bad])
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


def _balance(batches: list[Batch], reports: list[FileReport]) -> None:
    """Nothing was lost, nothing came twice, and no file changed meanwhile; else DataError and nothing is published."""
    for source in (source for batch in batches for source in batch.sources):
        if reading.stamp(source.path) != source.stamp:
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
