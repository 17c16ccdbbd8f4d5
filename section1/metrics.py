"""The ledger's figures as a Prometheus text file, for node_exporter's textfile collector."""

from __future__ import annotations

from datetime import UTC, datetime

from batch.ledger import Ledger
from batch.publish import Output, write_file, writing
from section1.settings import Task, next_run

PREFIX = "membership"


def write(output: Output, task: Task) -> None:
    """Put state/metrics.prom in place; a reader sees the old figures or the new ones."""
    with writing(output.state):
        write_file(output.state / "metrics.prom", text(output.ledger, task).encode())


def text(ledger: Ledger, task: Task) -> str:
    """The figures in Prometheus' text format 0.0.4."""
    newest = ledger.runs(newest=1)
    good = ledger.runs("published", "nothing_new", newest=1)
    lines: list[str] = []

    def gauge(name: str, help_text: str, values: dict[str, float]) -> None:
        lines.append(f"# HELP {PREFIX}_{name} {help_text}")
        lines.append(f"# TYPE {PREFIX}_{name} gauge")
        lines.extend(f"{PREFIX}_{name}{labels} {value}" for labels, value in values.items())

    for run in good:
        gauge("last_success_timestamp_seconds", "Start of the last run that did not fail.", {"": _seconds(run.started)})
    failed = any(run.status == "failed" for run in newest)
    gauge("last_run_failed", "Whether the newest run failed.", {"": int(failed)})
    soon = next_run(task, datetime.now(UTC))
    gauge("next_run_timestamp_seconds", "When the schedule starts the next run.", {"": int(soon.timestamp())})
    for run in ledger.runs("published", newest=1):
        gauge("last_published_timestamp_seconds", "Start of the last run that published.", {"": _seconds(run.started)})
        gauge("duration_seconds", "Duration of the last run that published.", {"": run.seconds})
        counts = {f'{{count="{name}"}}': count for name, count in run.counts.items()}
        gauge("last_run", "Counts of the last run that published.", dict(counts))
        rules = dict.fromkeys(task.settings.rules, 0) | run.reasons
        reasons = {f'{{rule="{name}"}}': count for name, count in rules.items()}
        gauge("failed_rule_rows", "Rows that failed a rule in the last run that published.", dict(reasons))
    return "\n".join(lines) + "\n"


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())
