"""The rules that a linter for Terraform would hold the modules to, and checkov."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from terraform_rules import (
    RULES,
    documented_and_typed,
    in_its_file,
    modern,
    named,
    pinned,
    resources_named,
    used,
)

from section3 import infrastructure
from section3.infrastructure import ROOT, SOURCE

Rule = Callable[[dict[str, str]], Iterator[str]]

FILES = sorted(SOURCE.rglob("*.tf"))
MODULES = sorted({file.parent for file in FILES})


def files(module: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(module.glob("*.tf"))}


@pytest.mark.full  # a plan, which the other tests make, checks the same
def test_the_design_is_valid_by_itself(terraform: Path) -> None:
    infrastructure.validate(terraform)


@pytest.mark.usefixtures("terraform")
def test_the_format_is_terraforms() -> None:
    assert infrastructure.run(SOURCE, "fmt", "-check", "-recursive", codes=(0, 3)) == ""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
@pytest.mark.parametrize("rule", RULES)
def test_a_module_keeps_the_rule(rule: Rule, module: Path) -> None:
    assert list(rule(files(module))) == []


def test_terraform_and_its_provider_are_pinned() -> None:
    assert list(pinned(files(SOURCE))) == []


@pytest.mark.parametrize(
    ("rule", "mistake", "says"),
    [
        (documented_and_typed, 'variable "a" {\n  type = string\n}\n', "a has no description"),
        (documented_and_typed, 'output "a" {\n  value = 1\n}\n', "a has no description"),
        (documented_and_typed, 'variable "a" {\n  description = "A."\n}\n', "variable a has no type"),
        (used, 'variable "a" {\n}\n', "var.a is not used"),
        (used, "locals {\n  a = 1\n}\n", "local.a is not used"),
        (used, 'data "aws_a" "b" {\n}\n', "data.aws_a.b is not used"),
        (used, 'provider "aws" {\n  alias = "a"\n}\n', "aws.a is not used"),
        (used, 'terraform {\n  required_providers {\n    gcp = {\n    }\n  }\n}\n', "provider gcp is not used"),
        (pinned, "", "no required_version"),
        (pinned, 'terraform {\n  required_providers {\n    aws = {\n      source = "a"\n    }\n  }\n}\n', "no version"),
        (pinned, 'resource "random_id" "a" {\n}\n', "provider random is not required"),
        (named, 'module "A" {\n}\n', "A is not snake_case"),
        (named, 'resource "aws_a" "b-c" {\n}\n', "b-c is not snake_case"),
        (named, "locals {\n  aB = 1\n}\n", "aB is not snake_case"),
        (modern, '  a = "${var.a}"\n', "deprecated_interpolation"),
        (modern, "  a = aws_a.b.0.id\n", "deprecated_index"),
        (modern, "  a = aws_a.b.*.id\n", "deprecated_index"),
        (modern, '  a = lookup(var.a, "b")\n', "deprecated_lookup"),
        (modern, "  a = var.a == []\n", "empty_list_equality"),
        (modern, "// a\n", "comment_syntax"),
        (in_its_file, 'variable "a" {\n}\n', "variable a is in main.tf"),
        (resources_named, '    resources = ["*"]\n', "resources"),
        (resources_named, '  a = [{ actions = ["s3:GetObject"], resources = ["*"] }]\n', "s3:GetObject"),
    ],
)  # fmt: skip
def test_a_mistake_breaks_the_rule(rule: Rule, mistake: str, says: str) -> None:
    assert any(says in complaint for complaint in rule({"main.tf": mistake}))


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
    subprocess.run(["sh", str(ROOT / "batch" / "environment.sh"), "--apart", "checkov"], check=True, timeout=300)
    command = [str(ROOT / ".venv-checkov" / "bin" / "checkov"), "-d", str(SOURCE), "--framework", "terraform"]
    command += ["--compact", "--skip-download", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    report = json.loads(done.stdout)
    found = [f"{check['check_id']} {check['resource']}" for check in report["results"]["failed_checks"]]
    assert found == report["results"]["parsing_errors"] == [] and report["summary"]["passed"] > 300
