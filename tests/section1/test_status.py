"""What can be seen of the job: status, metrics and the summary, all with the ledger's figures."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from applications import BAD, GOOD, ledger, manage, rows, run, write

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)((?:\{[a-z_]+="[^"\\\n]*"\})?) (-?[0-9]+(?:\.[0-9]+)?)')


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in", "a.csv", rows(0, 20) + 'Nora "Unclosed,x,y\n').parent


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def status(output: Path) -> dict[str, Any]:
    """The answer of status as JSON."""
    done = manage("status", "--output", output, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def metrics(output: Path) -> dict[str, float]:
    """The metrics by name and labels, read by the rules of the text format 0.0.4."""
    text = (output / "state" / "metrics.prom").read_text()
    assert text.endswith("\n")
    values: dict[str, float] = {}
    described: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line.startswith("# "):
            kind, name, rest = line[2:].split(" ", 2)
            assert kind in ("HELP", "TYPE")
            assert rest == "gauge" if kind == "TYPE" else rest
            assert kind not in described.setdefault(name, set())
            described[name].add(kind)
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert described[sample[1]] == {"HELP", "TYPE"}, "a metric's samples stand below its description"
            assert sample[1] == list(described)[-1]
            assert sample[1] + sample[2] not in values
            values[sample[1] + sample[2]] = float(sample[3])
    return values


def last_run(output: Path) -> dict[str, Any]:
    """The last published run, as the ledger has it."""
    (document,) = ledger(output, "select document from run where status = 'published' order by rowid desc")[0]
    found: dict[str, Any] = json.loads(document)
    return found


def test_metrics_are_those_of_the_ledger(source: Path, output: Path) -> None:
    run(source, output)
    write(source, "many.csv", rows(1000, 3))
    run(source, output)
    recorded, found = last_run(output), metrics(output)
    started = datetime.fromisoformat(recorded["started"]).timestamp()
    assert found.pop("membership_last_success_timestamp_seconds") == started
    assert found.pop("membership_last_published_timestamp_seconds") == started
    assert found.pop("membership_duration_seconds") == recorded["seconds"]
    assert found.pop("membership_last_run_failed") == 0
    soon = found.pop("membership_next_run_timestamp_seconds")
    assert soon % 3600 == 0
    assert 0 < soon - started <= 3660
    counts = {name: found.pop(f'membership_last_run{{count="{name}"}}') for name in recorded["counts"]}
    assert counts == recorded["counts"]
    assert counts["records"] == 3
    rules = {key.split('"')[1]: value for key, value in found.items()}
    assert set(rules) == {"name", "mobile", "email", "date", "ambiguous_date", "birth_year", "age"}
    assert {name: rows for name, rows in rules.items() if rows} == recorded["reasons"] == {"mobile": 1}


def test_large_figures_keep_all_digits(source: Path, output: Path) -> None:
    """Six digits are not enough for a count of rows or for a time."""
    from batch.ledger import Run
    from batch.publish import Output
    from section1 import metrics as written
    from section1 import settings

    made = Output(output)
    made.prepare()
    started = "2022-01-01T12:34:56+00:00"
    counts = {"records": 123456789}
    made.ledger.record(Run(run_id="a", status="published", started=started, seconds=12.345, counts=counts))
    written.write(made, settings.load("section1_process.yaml", []))
    assert metrics(output)['membership_last_run{count="records"}'] == 123456789
    assert metrics(output)["membership_last_success_timestamp_seconds"] == 1641040496


def test_status_before_the_first_run(output: Path) -> None:
    never = status(output)
    assert (never["published"], never["last_success"], never["data_age_seconds"]) == ("", "", None)
    assert "never" in manage("status", "--output", output).stdout


def test_status_after_runs(source: Path, output: Path) -> None:
    published = run(source, output)
    nothing = run(source, output)
    manage("--input", source / "missing", "--output", output)
    now, recorded = status(output), last_run(output)
    assert now["published"] == published["run_id"]
    assert now["counts"] == recorded["counts"]
    assert now["reasons"] == recorded["reasons"] == {"mobile": 10, "unclosed_quote": 1}
    assert now["seconds"] == recorded["seconds"]
    assert now["last_status"] == "failed"
    assert now["last_message"].startswith("cannot list the input folder")
    assert 0 <= now["data_age_seconds"] < 60
    soon = datetime.fromisoformat(now["next_run"])
    assert soon.minute == 0
    assert timedelta() < soon - datetime.now(UTC) <= timedelta(hours=1)
    assert [line.split()[1:3] for line in now["runs"]] == [
        ["run", "failed"],
        ["run", "nothing_new"],
        ["run", "published"],
    ]
    assert now["runs"][1].startswith(nothing["run_id"])


def test_status_as_text_says_the_same(source: Path, output: Path) -> None:
    published = run(source, output)
    text = manage("status", "--output", output).stdout
    assert re.search(r"^last success +\d+ s ago \(20", text, re.M)
    assert re.search(rf"^readers see +{published['run_id']}$", text, re.M)
    assert re.search(r"^records +20$", text, re.M)
    assert re.search(r"^failed mobile +10$", text, re.M)
    assert re.search(r"^next run +20\S+ \(by the schedule\)$", text, re.M)


def test_status_between_switch_and_record(source: Path, output: Path) -> None:
    """Readers see a run that the ledger does not know yet: status says which."""
    published = run(source, output)
    (output / "state" / "ledger.sqlite").unlink()
    assert status(output)["published"] == published["run_id"]


def test_the_clock_went_back(source: Path, output: Path) -> None:
    from batch.publish import Output
    from section1 import report, settings

    run(source, output)
    task = settings.load("section1_process.yaml", [])
    before = report.status(Output(output), task, datetime(2000, 1, 1, tzinfo=UTC))
    assert before.data_age_seconds == 0


def test_summary_line_and_json(source: Path, output: Path) -> None:
    done = manage("--input", source, "--output", output)
    assert done.stdout.count("\n") == 1
    assert re.fullmatch(
        r"run \S+: 20 records in [\d.]+ s; "
        rf"10 successful \(50\.00%\) in {re.escape(str(output))}/{GOOD}/applications.csv; "
        rf"10 unsuccessful in {re.escape(str(output))}/{BAD}/applications.csv "
        r"\(failed rules: mobile 10, unclosed_quote 1\); 1 fragments quarantined; 0 rows share 0 ids\n",
        done.stdout,
    )
    write(source, "b.csv", rows(100, 4))
    summary, recorded = run(source, output), last_run(output)
    assert summary["run_id"] == recorded["run_id"]
    assert (summary["records"], summary["successful"], summary["unsuccessful"]) == (4, 2, 2)
    assert summary["success_rate"] == 0.5
    assert summary["reasons"] == recorded["reasons"]
    for name in "successful_file", "unsuccessful_file":
        assert Path(summary[name]).is_file()
    nothing = manage("--input", source, "--output", output)
    assert "nothing new, nothing published; readers see" in nothing.stdout
