"""section1_manage.py as a person or cron runs it: a process, its output, its exit code."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from applications import seconds_of

import section1_manage
from batch import errors

ROOT = Path(__file__).resolve().parents[2]
MANAGE = ROOT / "section1_manage.py"
HEADER = "name,email,date_of_birth,mobile_no\n"
ROWS = "Ann Lee,ann@example.com,1990-01-31,91234567\nBob Roe,bob@example.com,2003-06-15,91234567\nC,c,c,c\n"


def manage(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, options.pop("script", MANAGE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


@pytest.fixture
def folders(tmp_path: Path) -> list[str | Path]:
    """Options for an input folder with three applications and an output folder that is not there yet."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(HEADER + ROWS)
    return ["--input", tmp_path / "in", "--output", tmp_path / "out"]


def test_help_is_instant() -> None:
    seconds = []
    for _ in range(9):
        took, done = seconds_of(MANAGE, "--help")
        seconds.append(took)
        assert done.returncode == 0
        assert done.stdout.startswith("usage: section1_manage.py")
    assert min(seconds) < 0.15, seconds  # the best of nine: others may be busy on this machine


def test_help_documents_the_exit_codes() -> None:
    text = manage("--help").stdout.partition("exit codes:")[2]
    documented = {int(code) for code in re.findall(r"(?:^|\s)(\d+) (?=[a-z])", text)}
    kinds = {kind.exit_code for kind in errors.BatchError.__subclasses__()}
    assert kinds == set(range(2, 8))
    assert documented == kinds | {0, 1, 130}
    in_errors = {int(code) for code in re.findall(r"^\| (\d) ", errors.__doc__ or "", re.MULTILINE)}
    assert in_errors == kinds | {0}


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The commands and their parsers; the whole line's under an empty name."""
    whole = section1_manage.parser()
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return {"": whole, **commands.choices}


def test_every_command_and_option_is_documented_in_the_readme() -> None:
    readme = (ROOT / "section1" / "README.md").read_text()
    found = parsers()
    assert {"run", "dry-run", "replay", "backfill", "status", "health", "generate"} == found.keys() - {""}
    for name in found.keys() - {""}:
        shown = rf"(`|section1_runner\.sh run |section1_runner\.sh (?=run)){name}\b"
        assert re.search(shown, readme), f"the command {name} is not documented"
    for parser in found.values():
        for action in parser._actions:
            for option in action.option_strings:
                if option.startswith("--"):
                    assert re.search(rf"{option}\b", readme), f"the option {option} is not documented"


def test_every_option_and_command_has_help() -> None:
    for name, parser in parsers().items():
        assert parser.description, name
        assert all(action.help for action in parser._actions if action.option_strings), name
        assert manage(*name.split(), "--help").stdout.startswith("usage: section1_manage.py")


def test_the_configuration_by_name_from_anywhere(tmp_path: Path, folders: list[str | Path]) -> None:
    done = manage("--task-config", "section1_process.yaml", *folders, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["successful"] == 2


def test_the_configuration_by_path(tmp_path: Path, folders: list[str | Path]) -> None:
    text = (ROOT / "section1/conf/section1_process.yaml").read_text()
    assert "as_of: 2022-01-01" in text
    (tmp_path / "mine.yaml").write_text(text.replace("as_of: 2022-01-01", "as_of: 2007-01-31"))
    for name in ("mine.yaml", "./mine.yaml", str(tmp_path / "mine.yaml")):
        done = manage("dry-run", "--task-config", name, *folders, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "as_of=2007-01-31" in done.stdout


def test_a_missing_configuration(tmp_path: Path) -> None:
    done = manage("--task-config", "section1_proces.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("section1: section1_proces.yaml: there is no such file")
    assert "Did you mean `section1_process.yaml`?" in done.stderr


def test_folders_are_relative_to_where_they_were_typed(tmp_path: Path, folders: list[str | Path]) -> None:
    done = manage("--input", "in", "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/successful_application/applications.csv").exists()
    assert "in out/successful_application/applications.csv;" in done.stdout


def parameters(*arguments: str | Path) -> dict[str, Any]:
    done = manage("--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["parameters"]
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ["dry-run", "--sql-kwargs", "as_of=2023-01-01", "minimum_age=21"],
        ["--sql-kwargs", "as_of=2023-01-01", "minimum_age=21", "dry-run"],
        ["--sql-kwargs", "as_of=2023-01-01", "dry-run", "--sql-kwargs", "minimum_age=21"],
        ["--sql-kwargs", "as_of=2023-01-01", "--sql-kwargs", "minimum_age=21", "dry-run"],
        ["--sql-kwargs=as_of=2023-01-01", "dry-run", "--sql-kwargs=minimum_age=21"],
        ["--sql-kwargs", "minimum_age=18", "dry-run", "--sql-kwargs", "as_of=2023-01-01", "minimum_age=21"],
    ],
)
def test_parameters_from_the_command_line(arguments: list[str], folders: list[str | Path]) -> None:
    for order in ([*folders, *arguments], [*arguments, *folders]):
        found = parameters(*order)
        assert (found["as_of"], found["minimum_age"], found["first_birth_year"]) == ("2023-01-01", 21, 1900)


def test_parameters_change_the_verdict(folders: list[str | Path]) -> None:
    done = manage(*folders, "--json", "--sql-kwargs", "as_of=2021-06-14")
    assert json.loads(done.stdout)["reasons"] == {"age": 1, "date": 1, "email": 1, "mobile": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sql-kwargs", "as_of"], "`as_of` is not of the form key=value"),
        (["--sql-kwargs", "as_off=2023-01-01"], "Did you mean `as_of`?"),
        (["--sql-kwargs", "as_of=tomorrow"], "must be a date like 2022-01-31, not `tomorrow`"),
        (["--sql-kwargs", "as_of=2023-01-01", "minimum_age=x"], "`minimum_age` must be a whole number"),
        (["--sql-kwargs"], "expected at least one argument"),
        (["--sql-kwargs", "--json"], "expected at least one argument"),
        (["--sql-kwargs", "as_of=2023-01-01", "walk"], "invalid choice: 'walk'"),
        (["--sql-kwargs", "titles=M'r"], "`titles` may not contain"),
        (["walk"], "invalid choice: 'walk'"),
        (["replay"], "the following arguments are required: RUN_ID"),
        (["backfill", "--from", "2022-01-01"], "the following arguments are required: --to"),
        (["backfill", "--from", "soon", "--to", "later"], "not a"),
        (["--engine", "polars"], "invalid choice: 'polars'"),
        (["--task-conf=x"], "unrecognized arguments: --task-conf"),
        (["generate", "--rows", "-1"], "`-1` is not a whole number from 0 on|expected one argument"),
        (["generate", "--rows", "many"], "`many` is not a whole number from 0 on"),
        (["generate", "--files", "0"], "at least one is needed"),
        (["generate", "--seed", "1.5"], "`1.5` is not a whole number"),
        (["status", "--rows", "5"], "unrecognized arguments: --rows 5"),
    ],
)
def test_a_wrong_call_is_refused(arguments: list[str], said: str, folders: list[str | Path]) -> None:
    done = manage(*folders, *arguments)
    assert done.returncode == 2
    assert any(part in done.stderr for part in said.split("|")), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_options_stand_before_or_after_the_command(folders: list[str | Path]) -> None:
    for arguments in (["--json", *folders, "status"], ["status", *folders, "--json"], [*folders, "status", "--json"]):
        done = manage(*arguments)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["published"] == ""


def test_a_run_and_what_status_and_replay_make_of_it(tmp_path: Path, folders: list[str | Path]) -> None:
    first = manage(*folders, "--json")
    assert first.returncode == 0, first.stderr
    run_id = json.loads(first.stdout)["run_id"]
    assert manage("run", *folders).stdout.startswith("run ")
    status = json.loads(manage("status", *folders, "--json").stdout)
    assert status["published"] == run_id
    assert status["counts"]["accepted"] == 2
    text = manage("status", *folders).stdout
    assert f"readers see    {run_id}" in text
    again = manage("replay", run_id, *folders, "--sql-kwargs", "minimum_age=1", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["status"] == "nothing_new"
    unknown = manage("replay", "no-such-run", *folders)
    assert unknown.returncode == 2
    assert "there is no published run no-such-run" in unknown.stderr


def test_status_and_dry_run_make_no_folders(tmp_path: Path, folders: list[str | Path]) -> None:
    for command in ("status", "dry-run"):
        assert manage(command, *folders).returncode == 0
    assert not (tmp_path / "out").exists()


def test_a_bad_schedule_is_said_by_status_too(tmp_path: Path, folders: list[str | Path]) -> None:
    text = (ROOT / "section1/conf/section1_process.yaml").read_text()
    (tmp_path / "task.yaml").write_text(text.replace('"0 * * * *"', '"often"'))
    done = manage("status", *folders, "--task-config", tmp_path / "task.yaml")
    assert done.returncode == 2
    assert "task.yaml:3: not a schedule" in done.stderr


def test_generate_writes_where_it_is_told(tmp_path: Path) -> None:
    done = manage("generate", "--rows", "50", "--files", "3", "--seed", "7", "--output", tmp_path / "made", "--json")
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout)["files"]
    assert sorted(files) == sorted(str(path) for path in (tmp_path / "made").iterdir())
    assert sum(len(Path(path).read_text().splitlines()) - 1 for path in files) == 50
    again = manage("generate", "--rows", "50", "--files", "3", "--seed", "7", "--output", tmp_path / "again")
    assert again.stdout.startswith("wrote 50 applications: ")
    for path in files:
        assert Path(path).read_bytes() == (tmp_path / "again" / Path(path).name).read_bytes()


def test_generate_goes_to_the_input_folder_by_default(tmp_path: Path) -> None:
    assert manage("generate", "--rows", "5", "--input", tmp_path / "in").returncode == 0
    assert len(list((tmp_path / "in").iterdir())) == 2


def test_a_missing_input_folder_ends_with_its_code(tmp_path: Path) -> None:
    for command in ("run", "dry-run"):
        done = manage(command, "--input", tmp_path / "none", "--output", tmp_path / "out")
        assert done.returncode == 3, done.stderr
        assert "cannot list the input folder" in done.stderr


def test_an_output_that_is_a_file_ends_with_its_code(tmp_path: Path, folders: list[str | Path]) -> None:
    (tmp_path / "out").write_text("")
    for command in ("run", "dry-run"):
        done = manage(command, *folders)
        assert done.returncode == 6, done.stderr
        assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_failure(folders: list[str | Path]) -> None:
    for arguments in (["--help"], ["status", *folders], ["dry-run", *folders], [*folders], [*folders, "--json"]):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, MANAGE, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(write)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_an_output_that_takes_nothing_is_a_failure(folders: list[str | Path]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, MANAGE, "status", *folders], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def project(tmp_path: Path, **files: str) -> Path:
    """A copy of what the command line needs, with files of its own laid over it; returns its script."""
    copy = tmp_path / "project"
    for name in ("batch", "section1"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "resource", ".compiled"))
    for name in ("section1_manage.py", "Pipfile.lock"):
        shutil.copy(ROOT / name, copy / name)
    for name, text in files.items():
        path = copy / name.replace("__", "/")
        path = path.with_name(f"{path.name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return copy / "section1_manage.py"


def test_ctrl_c_ends_with_130_and_one_line(tmp_path: Path, folders: list[str | Path]) -> None:
    waits = "import time\n\ndef plan(task):\n    print('waiting', flush=True)\n    time.sleep(60)\n"
    script = project(tmp_path, section1__dry_run=waits)
    # a shell starts its background jobs deaf to Ctrl-C, and these tests may be one
    hearing = ["env", "--default-signal=INT", sys.executable]
    child = subprocess.Popen(
        [*hearing, script, "dry-run", *folders], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 130
    assert said == "section1: interrupted; the last published pair is still in place\n"


def test_a_defect_is_one_line_without_anybodys_data(tmp_path: Path, folders: list[str | Path]) -> None:
    breaks = "def plan(task):\n    raise ValueError('Ann Lee, 1990-01-31')\n"
    done = manage("dry-run", *folders, script=project(tmp_path, section1__dry_run=breaks))
    assert done.returncode == 1
    place = tmp_path / "project" / "section1" / "dry_run.py"
    assert done.stderr == f"section1: internal error: ValueError at {place}:2\n"


def test_a_missing_package_says_how_to_get_it(tmp_path: Path, folders: list[str | Path]) -> None:
    done = manage("dry-run", *folders, script=project(tmp_path, section1__dry_run="import no_such_package\n"))
    assert done.returncode == 5
    assert "the package no_such_package is missing" in done.stderr
    assert "section1_runner.sh" in done.stderr


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    """A copy of the project with the environment of this one and no tests yet."""
    script = project(tmp_path)
    for name in ("batch", "section1"):
        (script.parent / "tests" / name).mkdir(parents=True)
    (script.parent / ".venv").symlink_to(ROOT / ".venv")
    return script


CONFIG = ["--task-config", "section1_process.yaml"]


@pytest.mark.parametrize(
    ("section", "before", "assertion", "code"),
    [("batch", [], "False", 1), ("section1", CONFIG, "False", 1), ("section1", CONFIG, "True", 0)],
)
def test_test_runs_the_tests_and_fails_when_one_fails(
    tested: Path, section: str, before: list[str], assertion: str, code: int
) -> None:
    test = f"import section1.settings\n\ndef test_it() -> None:\n    assert {assertion}\n"
    (tested.parent / "tests" / section / "test_it.py").write_text(test)
    done = manage(*before, "--test", script=tested)
    assert done.returncode == code, done.stderr
    assert ("1 passed" if code == 0 else "1 failed") in done.stdout


def test_test_fails_where_there_is_nothing_to_run(tested: Path) -> None:
    assert manage("--test", script=tested).returncode != 0


def test_test_says_so_when_the_environment_cannot_be_made(tested: Path) -> None:
    (tested.parent / "batch" / "environment.sh").write_text("echo no network >&2; exit 5\n")
    done = manage("--test", script=tested)
    assert done.returncode == 5
    assert done.stderr == "no network\n"


def test_test_works_with_a_python_that_has_no_packages(tested: Path) -> None:
    (tested.parent / "tests" / "section1" / "test_it.py").write_text("import msgspec\n\ndef test_it() -> None: pass\n")
    command = [sys.executable, "-S", tested, *CONFIG, "--test"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 passed" in done.stdout
