"""The rules that a linter for Terraform would hold the modules to, and checkov where it is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from section3 import infrastructure
from section3.infrastructure import SOURCE

FILES = sorted(SOURCE.rglob("*.tf"))
MODULES = sorted({file.parent for file in FILES})
BLOCK = re.compile(
    r'^(variable|output|locals|resource|data|module) ?(?:"(\w+)")? ?(?:"(\w+)")? ?\{\n(.*?)^\}', re.M | re.S
)


def text(module: Path) -> str:
    return "\n".join(file.read_text() for file in sorted(module.glob("*.tf")))


@pytest.mark.full  # a plan, which the other tests make, checks the same
def test_the_design_is_valid_by_itself(terraform: Path) -> None:
    infrastructure.validate(terraform)


@pytest.mark.usefixtures("terraform")
def test_the_format_is_terraforms() -> None:
    assert infrastructure.run(SOURCE, "fmt", "-check", "-recursive", codes=(0, 3)) == ""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_variables_and_outputs_are_described_typed_and_used(module: Path) -> None:
    whole = text(module)
    for kind, name, _, body in BLOCK.findall(whole):
        if kind in ("variable", "output"):
            assert "description" in body, f"{kind} {name}"
        if kind == "variable":
            assert re.search(r"^  type +=", body, re.M), name
            assert re.search(rf"\bvar\.{name}\b", whole), f"variable {name} is not used"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_locals_and_data_are_used_and_names_are_snake_case(module: Path) -> None:
    whole = text(module)
    for kind, first, second, body in BLOCK.findall(whole):
        if kind == "locals":
            for name in re.findall(r"^  (\w+) +=", body, re.M):
                assert re.search(rf"\blocal\.{name}\b", whole), f"local {name} is not used"
        if kind == "data":
            assert re.search(rf"\bdata\.{first}\.{second}\b", whole), f"data {first}.{second} is not used"
        assert all(name == name.lower() for name in (first, second))


def test_no_account_and_no_secret_is_written_down() -> None:
    for file in FILES:
        assert not re.search(r"\b\d{12}\b|AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|password", file.read_text()), file


def test_each_exception_to_a_check_says_why() -> None:
    skips = [line.strip() for file in FILES for line in file.read_text().splitlines() if "checkov:skip" in line]
    assert skips
    for line in skips:
        assert re.fullmatch(r"#checkov:skip=CKV2?_AWS_\d+:.{25,}", line), line


def test_what_the_stand_in_refuses_is_quoted() -> None:
    from section3 import stand_in

    variables = (SOURCE / "variables.tf").read_text()
    for name in stand_in.REFUSED:
        description = variables.split(f'variable "{name}"')[1].split("\n}\n")[0]
        assert re.search(r"40\d|50\d", description) and "moto" in description and "default     = true" in description


@pytest.mark.full
def test_checkov_finds_nothing() -> None:
    if not (checkov := shutil.which("checkov")):
        pytest.skip("checkov is not installed; for example: pipx install checkov")
    command = [checkov, "-d", str(SOURCE), "--framework", "terraform", "--compact", "--skip-download", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    report = json.loads(done.stdout)
    found = [f"{check['check_id']} {check['resource']}" for check in report["results"]["failed_checks"]]
    assert found == report["results"]["parsing_errors"] == [] and report["summary"]["passed"] > 300
