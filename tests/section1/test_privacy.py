"""Nothing that a person wrote into an application appears outside the published files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from applications import HEADER, config, manage, write

from section1.duckdb_session import without_values

APPLICATIONS = """\
Ottoline Featherstonehaugh,ottoline.f@example.com,1971-03-27,91827364
Dr. Ignatius Quackenbush,ignatius@quackenbush.net,13/04/1969,8273 6455
Zebedee O'Hanrahanrahan,zeb'o@example.org,1969-31-12,7364-5546
"Wilhelmina ""Billie"" Knatchbull",billie@knatchbull.com,1988/06/09,+65 64554637
Perpetua Xylander,not an address,27-03-1971,seven
Caspian Wolverhampton,caspian@wolverhampton.com,1990-05-05,55463728,too many
Thaddeus "Unclosed,thaddeus@unclosed.com,1991-05-05,46372819
"""


def values() -> set[str]:
    """Every e-mail address, mobile number, birth date and name, and each name's parts."""
    found = set()
    for row in csv.reader(io.StringIO(APPLICATIONS.replace('"Unclosed', "Unclosed"))):
        found |= {*row, *row[0].split(), re.sub(r"[ -]", "", row[3]), re.sub(r"[/-]", "", row[2])}
    return {value.strip('"') for value in found if len(value) > 4}


def everything_said(output: Path, *done: object) -> Iterator[tuple[str, str]]:
    """What was printed, and what stands in the state folder; the ledger as its bytes."""
    for said in done:
        yield "printed", str(said)
    for path in (output / "state").iterdir():
        yield path.name, path.read_bytes().decode("utf-8", "replace")


def check_nothing_leaks(output: Path, *done: object) -> None:
    for where, text in everything_said(output, *done):
        leaked = [value for value in values() if value in text]
        assert not leaked, where


def test_a_run_says_nothing_of_anybody(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    write(source, "a.csv", APPLICATIONS)
    common = "--input", source, "--output", output
    ran = manage(*common)
    assert ran.returncode == 0
    assert "6 records" in ran.stdout or "5 records" in ran.stdout
    write(source, "torn.csv", HEADER + 'Ottoline "')
    others = [manage(*common, "--json"), manage("status", *common), manage("status", "--json", *common)]
    run_id = ran.stdout.split()[1].rstrip(":")
    others.append(manage("replay", run_id, *common, "--sql-kwargs", "as_of=2090-01-01"))
    check_nothing_leaks(output, ran, *others)
    kept = "".join(path.read_text() for path in (output / "runs").rglob("*.*") if path.suffix in (".csv", ".bin"))
    assert sum(value in kept for value in values()) > 20, "they are in the published files, so they could leak"


@pytest.mark.parametrize(
    "rule",
    [
        "cast(mobile_no as int) > 0",
        "cast(name as date) is null",
        "cast(concat(name, '''', email) as int) > 0",
        "cast(concat(name, chr(10), email) as int) > 0",
        "cast(concat('9999', replace(replace(replace(mobile_no, ' ', ''), '-', ''), '+65', '')) as bigint) * "
        "9000000000 > 0",
    ],
)
def test_a_failing_rule_shows_no_value(tmp_path: Path, rule: str) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    write(source, "a.csv", APPLICATIONS)
    task = config(tmp_path / "failing.yaml", ("\nrules:\n", f"\nrules:\n  failing: {rule}\n"))
    common = "--input", source, "--output", output, "--task-config", task
    failed = manage(*common)
    assert failed.returncode == 5, failed.stderr
    assert "a.csv" in failed.stderr
    assert "Traceback" not in failed.stderr
    check_nothing_leaks(output, failed, manage("status", *common))


def test_an_engines_message_without_values() -> None:
    for message, left in {
        "Could not convert string 'O'Hara 91234567' to INT32": "Could not convert string '...' to INT32",
        "Overflow in multiplication of INT64 (91234567 * 100)!": "Overflow in multiplication of INT64 (# * # )!",
        "Bad value 'two\nlines' here\nLINE 1: select 'x'": "Bad value '...' here",
        "Bad value 'never closed\n91234567": "Bad value '...'",
        'field value out of range: "1971-03-27"': "field value out of range: '...'",
        "": "",
    }.items():
        assert without_values(message) == left
