"""What a run says of itself: its totals, its one-line summary, and the answer to `status`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from batch.ledger import Run
from batch.publish import Output
from section1.engine import Decisions
from section1.intake import FileReport
from section1.judge import Statement
from section1.settings import Settings, Task, next_run


class Summary(msgspec.Struct, kw_only=True):
    """The figures of one run; `seconds` is its duration."""

    run_id: str
    status: str
    kind: str
    engine: str
    seconds: float
    records: int = 0
    successful: int = 0
    unsuccessful: int = 0
    fragments: int = 0
    success_rate: float = 0.0
    successful_file: str = ""
    unsuccessful_file: str = ""
    reasons: dict[str, int] = {}
    shared_ids: int = 0
    rows_sharing_ids: int = 0
    notices: list[str] = []

    def line(self) -> str:
        """The summary as one line of text."""
        if self.status != "published":
            seen = self.successful_file or "nothing yet"
            return f"run {self.run_id}: nothing new, nothing published; readers see {seen}"
        reasons = ", ".join(f"{name} {count:,}" for name, count in self.reasons.items())
        return (
            f"run {self.run_id}: {self.records:,} records in {self.seconds:.2f} s; "
            f"{self.successful:,} successful ({self.success_rate:.2%}) in {self.successful_file}; "
            f"{self.unsuccessful:,} unsuccessful in {self.unsuccessful_file} (failed rules: {reasons or 'none'}); "
            f"{self.fragments:,} fragments quarantined; {self.rows_sharing_ids:,} rows share {self.shared_ids:,} ids"
        )


def summary(run: Run, output: Output, settings: Settings) -> Summary:
    """The figures of a run as they stand in the ledger, with the paths that readers open."""
    records, accepted = run.counts.get("records", 0), run.counts.get("accepted", 0)
    good, bad = settings.output.successful.folder, settings.output.unsuccessful.folder
    seen = bool(output.published())
    return Summary(
        run_id=run.run_id,
        status=run.status,
        kind=run.kind,
        engine=run.engine,
        seconds=run.seconds,
        records=records,
        successful=accepted,
        unsuccessful=run.counts.get("rejected", 0),
        fragments=run.counts.get("fragments", 0),
        success_rate=round(accepted / records, 6) if records else 0.0,
        successful_file=shown(output.seen(good, "applications.csv")) if seen else "",
        unsuccessful_file=shown(output.seen(bad, "applications.csv")) if seen else "",
        reasons=run.reasons,
        shared_ids=run.counts.get("shared_ids", 0),
        rows_sharing_ids=run.counts.get("rows_sharing_ids", 0),
        notices=run.notices,
    )


def shown(path: str) -> str:
    """A path, short where it is below the current folder."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path


def count(report: FileReport, failed: dict[int, int], statement: Statement) -> None:
    """Add the verdicts on a chunk to its file's report."""
    for bits, rows in failed.items():
        if bits == 0:
            report.accepted += rows
        else:
            report.rejected += rows
        for rule in statement.failed_rules(bits):
            report.reasons[rule] = report.reasons.get(rule, 0) + rows


def totals(reports: Iterable[FileReport]) -> tuple[dict[str, int], dict[str, int]]:
    """Counts and reasons over all files; a row that failed two rules counts under both."""
    counts = {
        "files": 0,
        "records": 0,
        "accepted": 0,
        "rejected": 0,
        "fragments": 0,
        "refused_files": 0,
        "bytes": 0,
    }
    reasons: dict[str, int] = {}
    for report in reports:
        counts["files"] += 1
        counts["refused_files"] += bool(report.refused)
        for name in ("records", "accepted", "rejected", "fragments", "bytes"):
            counts[name] += getattr(report, name)
        for name, rows in report.reasons.items():
            reasons[name] = reasons.get(name, 0) + rows
    return counts, dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def explain(decisions: Iterable[Decisions]) -> list[str]:
    """For each batch and shape, what was decided and on what evidence."""
    lines = (
        f"{name} {decision.explain(shape)}"
        for decided in decisions
        for name, shapes in decided.items()
        for shape, decision in shapes.items()
    )
    return list(dict.fromkeys(lines))


def csv_lines(rows: Iterable[tuple[str | int, ...]]) -> bytes:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)  # ends lines in CRLF, so that a lone CR is quoted
    return text.getvalue().encode()


class Status(msgspec.Struct, kw_only=True):
    """What `status` answers. Times are UTC, ISO 8601; empty or null where there was none yet."""

    published: str
    last_success: str
    data_age_seconds: int | None
    last_run: str
    last_status: str
    last_message: str
    seconds: float
    next_run: str
    counts: dict[str, int]
    reasons: dict[str, int]
    runs: list[str]

    def text(self) -> str:
        """For a terminal."""
        age = "never" if self.data_age_seconds is None else f"{self.data_age_seconds:,} s ago ({self.last_success})"
        lines = [
            f"last success   {age}",
            f"last run       {self.last_run or 'never'} {self.last_status} {self.last_message}".rstrip(),
            f"readers see    {self.published or 'nothing yet'}",
            f"duration       {self.seconds:.2f} s",
            f"next run       {self.next_run} (by the schedule)",
            *(f"{name:<14} {count:,}" for name, count in self.counts.items()),
            *(f"failed {name:<14} {count:,}" for name, count in self.reasons.items()),
            "runs, newest first:",
            *(f"  {line}" for line in self.runs),
        ]
        return "\n".join(lines)


def status(output: Output, task: Task, now: datetime | None = None) -> Status:
    """What the ledger knows: a run that found nothing new is a success too, but the counts are the last published."""
    now, ledger = now or datetime.now(UTC), output.ledger
    runs = ledger.runs(newest=10)
    last = runs[-1] if runs else None
    good = next(iter(ledger.runs("published", "nothing_new", newest=1)), None)
    published = next((run for run in ledger.runs("published") if run.run_id == output.published()), None)
    age = max(0, int((now - datetime.fromisoformat(good.started)).total_seconds())) if good else None
    return Status(
        published=output.published(),
        last_success=good.started if good else "",
        data_age_seconds=age,
        last_run=last.run_id if last else "",
        last_status=last.status if last else "",
        last_message=last.message if last else "",
        seconds=published.seconds if published else 0.0,
        next_run=next_run(task, now).isoformat(timespec="seconds"),
        counts=published.counts if published else {},
        reasons=published.reasons if published else {},
        runs=[
            f"{run.run_id} {run.kind} {run.status} {run.counts.get('accepted', 0):,} successful, "
            f"{run.counts.get('rejected', 0):,} unsuccessful"
            for run in reversed(runs)
        ],
    )
