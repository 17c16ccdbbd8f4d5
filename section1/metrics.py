"""The ledger's figures as a Prometheus text file, for node_exporter's textfile collector."""

from __future__ import annotations

from datetime import datetime

from batch.publish import Output, write_file, writing
from section1.settings import Settings

PREFIX = "membership"


def write(output: Output, settings: Settings) -> None:
    """Put state/metrics.prom in place; a reader sees the old figures or the new ones."""
    runs = output.ledger.runs()
    good = [run for run in runs if run.status != "failed"]
    published = [run for run in runs if run.status == "published"]
    lines: list[str] = []

    def gauge(name: str, text: str, values: dict[str, float]) -> None:
        lines.append(f"# HELP {PREFIX}_{name} {text}")
        lines.append(f"# TYPE {PREFIX}_{name} gauge")
        lines.extend(f"{PREFIX}_{name}{labels} {value:g}" for labels, value in values.items())

    def seconds(started: str) -> float:
        return datetime.fromisoformat(started).timestamp()

    if good:
        gauge("last_success_timestamp_seconds", "Start of the last run that did not fail.",
              {"": seconds(good[-1].started)})  # fmt: skip
    gauge(
        "last_run_failed",
        "Whether the newest run failed.",
        {"": float(bool(runs) and runs[-1].status == "failed")},
    )
    if published:
        last = published[-1]
        gauge(
            "last_published_timestamp_seconds",
            "Start of the last run that published.",
            {"": seconds(last.started)},
        )
        gauge("duration_seconds", "Duration of the last run that published.", {"": last.seconds})
        gauge("last_run", "Counts of the last run that published.",
              {f'{{count="{name}"}}': float(count) for name, count in last.counts.items()})  # fmt: skip
        gauge("failed_rule_rows", "Rows that failed a rule in the last run that published.",
              dict.fromkeys((f'{{rule="{rule}"}}' for rule in settings.rules), 0.0)
              | {f'{{rule="{name}"}}': float(count) for name, count in last.reasons.items()})  # fmt: skip
    with writing(output.state):
        write_file(output.state / "metrics.prom", ("\n".join(lines) + "\n").encode())
