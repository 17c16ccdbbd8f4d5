"""The membership id: a plain hash as the business defined it, or one with a key by one line in the YAML."""

from __future__ import annotations

import csv
import hashlib
import hmac
from pathlib import Path

import pytest
from applications import config, manage, write

KEY = b"0123456789abcdef0123456789abcdef"


def ids(output: Path) -> dict[str, str]:
    """The id of each accepted applicant by e-mail."""
    with open(output / "successful_application" / "applications.csv", newline="", encoding="utf-8") as file:
        return {row["email"]: row["membership_id"] for row in csv.DictReader(file)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = "Ada Lovelace,ada@example.com,1971-07-03,12345678\nJan van der Berg,jan@example.net,1971-07-03,12345678\n"
    write(tmp_path / "in", "a.csv", rows)
    return tmp_path / "in"


def test_hash_of_the_birthday(source: Path, tmp_path: Path) -> None:
    assert manage("--input", source, "--output", tmp_path / "out").returncode == 0
    assert ids(tmp_path / "out") == {"ada@example.com": "Lovelace_fc7cb", "jan@example.net": "van der Berg_fc7cb"}
    assert hashlib.sha256(b"19710703").hexdigest().startswith("fc7cb")


def test_with_a_key(source: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY + b"\n")
    line = ("    # key_file: secrets/membership_id.key", f"    key_file: {tmp_path}/key")
    task = config(tmp_path / "task.yaml", line)
    assert manage("--task-config", task, "--input", source, "--output", tmp_path / "out").returncode == 0
    digits = hmac.new(KEY, b"19710703", hashlib.sha256).hexdigest()[:5]
    assert ids(tmp_path / "out")["ada@example.com"] == f"Lovelace_{digits}" != "Lovelace_fc7cb"
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert KEY not in written


@pytest.mark.parametrize(("key", "problem"), [(None, "cannot read the key"), (b"short", "shorter than 16 bytes")])
def test_no_good_key(key: bytes | None, problem: str, source: Path, tmp_path: Path) -> None:
    if key is not None:
        (tmp_path / "key").write_bytes(key)
    line = ("    # key_file: secrets/membership_id.key", f"    key_file: {tmp_path}/key")
    task = config(tmp_path / "task.yaml", line)
    failed = manage("--task-config", task, "--input", source, "--output", tmp_path / "out")
    assert failed.returncode == 2
    assert problem in failed.stderr
    assert f"{task}:" in failed.stderr
