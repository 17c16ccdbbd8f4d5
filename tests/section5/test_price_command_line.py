"""section5_manage.py and its runner as a person runs them: processes, their output, their exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from section5 import artefact
from section5.artefact import Artefact
from section5.settings import ROOT

ASKED = ["--maint", "high", "--doors", "4", "--lug-boot", "big", "--safety", "high", "--class", "good"]


def manage(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "section5_manage.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


@pytest.fixture(scope="module")
def model(trained: Artefact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "model.json"
    artefact.save(trained, path)
    return path


def test_help_loads_nothing_heavy() -> None:
    """So that it is instant."""
    code = "import sys, section5_manage as m; m.parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "sklearn", "msgspec", "yaml", "section5"} & set(done.stdout.split())


def test_predict_answers_with_its_warning(model: Path) -> None:
    done = manage("predict", *ASKED, "--model", model)
    assert done.returncode == 0, done.stderr
    assert "price      low (low 66." in done.stdout
    assert "OUTSIDE the data's support" in done.stdout
    answer = json.loads(manage("predict", *ASKED, "--persons", "4", "--json", "--model", model).stdout)
    assert (answer["price"], answer["supported"], answer["asked"]["persons"]) == ("low", False, "4")
    assert json.loads(manage("predict", "--json", "--model", model).stdout)["price"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["predict", "--maint", "hgih"], 2, "Allowed are: vhigh, high, med, low. Did you mean `high`?"),
        (["predict", "--colour", "red"], 2, "unrecognized arguments"),
        (["predict", "--cla", "good"], 2, "unrecognized arguments"),
        (["predict", "--model", "/nowhere/model.json"], 3, "there is no model yet\n  Train: sh section5_runner.sh"),
        (["train", "--input", "/nowhere/car.data"], 3, "cannot read the data: No such file"),
        (["train", "--task-config", "nowhere.yaml"], 2, "cannot read the configuration"),
        (["train", "--input", "x", "--model", "x"], 2, "cannot be one file"),
        (["serve", "--port", "-1"], 2, "is no port"),
        (["evaluat"], 2, "invalid choice"),
    ],
)
def test_mistakes_are_told(model: Path, arguments: list[str], code: int, told: str) -> None:
    given = arguments if "--model" in arguments else [*arguments, "--model", str(model)]
    done = manage(*given)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_query_is_told_before_the_work(tmp_path: Path) -> None:
    text = (ROOT / "section5" / "conf" / "section5_process.yaml").read_text()
    for old, new, told in (
        ("  maint: high", "  maint: hgih", "the YAML's query, maint: `hgih` is no value of maint\n  Allowed are"),
        ('doors: "4"', "doors: 4", "Expected `str`, got `int`"),
        ("folds: 10", "folds: 1", "Expected `int` >= 2"),
        ("strength: 100", "strenght: 100", "Did you mean `strength`?"),
    ):
        path = tmp_path / "own.yaml"
        path.write_text(text.replace(old, new, 1))
        done = manage("run", "--task-config", path)
        assert done.returncode == 2
        assert told in done.stderr


def test_train_keeps_the_same_model_twice_and_changed_data_need_another(file: Path, tmp_path: Path) -> None:
    options = ["--input", str(file), "--model", str(tmp_path / "new" / "model.json"), "--json"]
    first = json.loads(manage("train", *options).stdout)
    assert first["written"]
    assert first["metrics"]["accuracy"] >= 0.35
    assert first["metrics"]["log_loss"] <= 1.19
    second = json.loads(manage("train", *options).stdout)
    assert (second["written"], second["checksum"]) == (False, first["checksum"])
    file.write_bytes(file.read_bytes().replace(b",unacc\n", b",acc\n", 1))
    refused = manage("predict", *options)
    assert refused.returncode == 3
    assert "trained on the data b703a9ac69f1, and this is" in refused.stderr


def test_generate_never_overwrites(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "made" / "car.data"
    first = json.loads(manage("generate", "--input", path, "--json").stdout)
    assert first["written"]
    assert path.read_bytes() == file.read_bytes()
    assert "already there" in manage("generate", "--input", path).stdout
    path.write_bytes(b"mine\n")
    done = manage("generate", "--input", path)
    assert done.returncode == 4
    assert "it was left as it is" in done.stderr
    assert path.read_bytes() == b"mine\n"


@pytest.mark.full
def test_run_in_a_copy_needs_nothing_else(tmp_path: Path) -> None:
    """What a clone has, with this checkout's packages: the run prints all, and writes only what git ignores."""
    for name in ("batch", "section5", "section5_manage.py", "section5_runner.sh", "Pipfile.lock"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "dest", "car.data"))
        else:
            shutil.copy(source, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    before = {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts}
    command = ["sh", "section5_runner.sh", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^inverse +35\.\d\d%", done.stdout, re.MULTILINE)
    assert "OUTSIDE the data's support" in done.stdout
    assert "to read: section5/car_buy_price_prediction.html" in done.stdout
    after = {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts} - before
    assert {str(path.relative_to(tmp_path)) for path in after if path.is_file()} - {".venv.lock"} == {
        "section5/resource/ml/car.data",
        "section5/resource/dest/model.json",
    }


def test_runner_says_what_it_can() -> None:
    def runner(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", str(ROOT / "section5_runner.sh"), *arguments]
        return subprocess.run(command, cwd="/", env=os.environ, capture_output=True, text=True, check=False)

    assert runner("help").returncode == 0
    assert runner().returncode == 2
    assert "unknown verb: trian" in runner("trian").stderr
