"""The command line, as processes, on an embedded server of its own; the way from section 1 to both answers."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


class CommandLine:
    """Runs section2_manage.py on a database of its own."""

    def __init__(self, folder: Path, name: str = "sales") -> None:
        self.folder = folder
        self.published = folder / f"published_{name}"
        self.config = folder / f"{name}.yaml"
        self.config.write_text(
            f"database: {{database: {name}}}\nembedded: {folder}/server\nmembers: {self.published}\n"
            "sample: section2/resource/sample\n"
        )

    def __call__(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "section2_manage.py", "--config", str(self.config), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self(*arguments))))


@pytest.fixture(scope="module")
def section2() -> Iterator[CommandLine]:
    folder = Path(tempfile.mkdtemp(prefix="section2-"))
    folder.chmod(0o711)
    yield CommandLine(folder)
    shutil.rmtree(folder)


def test_from_section_1_to_both_answers(section2: CommandLine, tmp_path: Path) -> None:
    """Run section 1 on two files, load its members, sell to them, ask the two questions."""
    judge = [sys.executable, "section1_manage.py", "run", "--output", str(section2.published)]
    subprocess.run(judge, cwd=ROOT, check=True, capture_output=True)
    assert "0001_roles.sql" in section2("migrate")
    assert section2("migrate") == "migrated: nothing new\n"
    assert "723 new members, 0 changed, 0 unchanged" in section2("load-members")
    assert section2("load-members") == "members: no new run\n"
    made = section2("generate", "--lines", "50", "--items", "20")
    assert "20 items" in made

    successes = section2.published / "successful_application" / "applications.csv"
    with successes.open(newline="") as file:
        buyers = [row["email"] for row in csv.DictReader(file)][:11]
    first = 9000
    (tmp_path / "transactions.csv").write_text(
        "transaction_id,email,occurred_at,status\n"
        + "".join(
            f"{first + n},{email.upper()},2023-01-0{1 + n % 9}T00:00:00Z,paid\n" for n, email in enumerate(buyers)
        )
    )
    (tmp_path / "lines.csv").write_text(
        "transaction_id,item_id,quantity,unit_price,unit_weight_kg,discount\n"
        + "".join(f"{first + n},{1 + n % 3},{100 * (1 + n % 3)},{1000 + n}.50,,\n" for n in range(len(buyers)))
    )
    loaded = section2("load-sales", str(tmp_path / "transactions.csv"), str(tmp_path / "lines.csv"))
    assert loaded == "loaded 11 transactions with 11 lines\n"

    top = section2.rows("query", "top10")
    spent = {email: 100 * (1 + n % 3) * (1000.5 + n) for n, email in enumerate(buyers)}
    assert len(top) == 10
    assert abs(float(top[0]["spent"]) - max(spent.values())) < 10_000  # besides what the shop was generated with
    sold = section2.rows("query", "top3_most_sold_item")
    assert [row["item_id"] for row in sold if row["reading"] == "units"] == ["3", "2", "1"]
    assert {row["reading"] for row in sold} == {"units", "transactions"}
    again = section2("load-sales", str(tmp_path / "transactions.csv"), str(tmp_path / "lines.csv"), code=4)
    assert "transactions.csv: line 2, transaction 9000: transaction loaded before" in again


def test_roles_agree(section2: CommandLine) -> None:
    section2("migrate")
    assert section2("roles").startswith("| object | loader |")


def test_formats_and_parameters(section2: CommandLine) -> None:
    section2("migrate")
    assert isinstance(json.loads(section2("query", "basket_size", "--format", "json")), list)
    assert "(" in section2("query", "basket_size", "--format", "table")
    assert "top10_highest_spending_member" in section2("query")
    assert section2.rows("query", "transaction_cost", "--set", "transaction_id=-1", "--role", "logistics") == []


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["query", "nonsense"], 2, "there is no question `nonsense`"),
        (["query", "transaction_cost"], 2, "--set transaction_id="),
        (["query", "top10", "--set", "x"], 2, "is not of the form key=value"),
        (["query", "top10", "--role", "nobody"], 2, "there is no role `nobody`"),
        (["query", "top10", "--role", "grafana"], 5, "permission denied"),
        (["query", "transaction_cost", "--set", "transaction_id=x"], 4, "invalid input syntax"),
        (["load-members", "--members", "/nowhere"], 3, "/nowhere: section 1 has published nothing here"),
        (["load-sales", "/nowhere", "/nowhere"], 3, "/nowhere: cannot be read"),
        (["generate", "--lines", "many"], 2, "not a whole number"),
        (["--config", "nowhere.yaml"], 2, "there is no such file"),
    ],
)
def test_mistakes_are_one_clear_message(section2: CommandLine, arguments: list[str], code: int, problem: str) -> None:
    section2("migrate")
    assert problem in section2(*arguments, code=code)


def test_run_needs_nothing_and_changes_nothing_the_second_time(section2: CommandLine) -> None:
    fresh = CommandLine(section2.folder, "fresh")
    first = fresh("run")
    assert "723 new members" in first
    assert "top3_most_sold_item" in first
    second = fresh("run")
    assert second.partition("top10")[2] == first.partition("top10")[2]
    assert "nothing new" in second
    assert "made" not in second


def test_the_runner_prints_its_verbs_and_refuses_others() -> None:
    shown = subprocess.run(["sh", "section2_runner.sh"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 2
    assert "usage: sh section2_runner.sh VERB" in shown.stderr
    wrong = subprocess.run(["sh", "section2_runner.sh", "rum"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "unknown verb: rum" in wrong.stderr
    assert os.access(ROOT / "section2_runner.sh", os.X_OK)
