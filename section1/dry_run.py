"""What a run would do, and every mistake that can be told before an engine starts. Nothing is written."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import msgspec

from batch import s3_url
from batch.errors import PublishError
from batch.ledger import Run
from batch.publish import Output, writing
from section1 import discover, job, judge, judging, outputs, settings
from section1.settings import Settings, Task


class File(msgspec.Struct):
    """A file that would be judged."""

    name: str
    bytes: int


class Plan(msgspec.Struct, kw_only=True):
    """What would run; `master` is Spark's, and empty for other engines."""

    config: str
    engine: str
    master: str
    parameters: dict[str, Any]
    input: str
    new: list[File]
    processed: int
    skipped: dict[str, str]
    notices: list[str]
    output: str
    published: str
    next_run: str

    def text(self) -> str:
        """For a terminal."""
        parameters = " ".join(f"{name}={_shown(value)}" for name, value in self.parameters.items())
        lines = [
            f"config         {self.config}",
            f"engine         {self.engine}{f', master {self.master}' if self.master else ''}",
            f"parameters     {parameters or 'none'}",
            f"input          {self.input}",
            f"new files      {len(self.new):,} with {sum(file.bytes for file in self.new):,} bytes",
            *(f"  {file.name}  {file.bytes:,} bytes" for file in self.new),
            f"processed      {self.processed:,} before, left alone",
            f"skipped        {len(self.skipped):,}",
            *(f"  {name} {reason}" for name, reason in self.skipped.items()),
            *(f"notice         {notice}" for notice in self.notices),
            f"output         {self.output}",
            f"readers see    {self.published or 'nothing yet'}",
            f"next run       {self.next_run} (by the schedule)",
            "The configuration is good. Nothing was written.",
        ]
        return "\n".join(lines)


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def check(task: Task) -> str:
    """The plan as text; raises as `plan` does."""
    return plan(task).text()


def plan(task: Task) -> Plan:
    """Check everything that needs no engine and no lock, and say what would run.

    Raises ConfigError with file, line and suggestion, InputError for an input folder that cannot be listed and
    PublishError for an output folder that cannot be written.
    """
    configured = task.settings
    judge.statement(task, cache=None)
    judging.date_columns(configured, task.document.where)
    next_run = settings.next_run(task, datetime.now(UTC))
    output = outputs.configured(configured)
    known = output.state / "digests.json"
    found = discover.discover(configured.input.folder, configured.input.patterns, known, remember=False)
    output.look(read_only=True)
    if not s3_url.is_url(output.address):
        with writing(output.root):
            _check_writable(output, configured)
    # A run that is never recorded: it only gathers what a real one would notice.
    run = Run(run_id="", status="failed", started="", seconds=0.0)
    new = job.new_sources(found.sources, output, configured, run)
    distinct = {source.sha256 for source in found.sources}
    return Plan(
        config=str(task.document.path),
        engine=configured.engine_name,
        master=configured.spark.master if configured.engine_name == "spark" else "",
        parameters=configured.parameters,
        input=configured.input.folder,
        new=[File(source.name, source.bytes) for source in new],
        processed=len(distinct) - len(new),
        skipped=found.skipped,
        notices=run.notices,
        output=output.address,
        published=output.published(),
        next_run=next_run.isoformat(timespec="seconds"),
    )


def _check_writable(output: Output, configured: Settings) -> None:
    """Raise PublishError where a run could not write or switch its outputs."""
    hint = "Mend it, or name another folder with --output."
    for wanted in (output.root, output.runs, output.state):
        folder = wanted
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise PublishError("is not a folder", where=str(folder), hint=hint)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PublishError("cannot be written: Permission denied", where=str(folder), hint=hint)
    for published in (configured.output.successful, configured.output.unsuccessful):
        link = output.root / published.folder
        if link.exists() and not link.is_symlink():
            raise PublishError("there is something else where readers will look", where=str(link), hint=hint)
