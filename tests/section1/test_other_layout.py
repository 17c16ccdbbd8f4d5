"""Another layout is another YAML, not other code: other_layout.yaml against an oracle in plain Python."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import subprocess
import sys
from collections import Counter
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = Path(__file__).with_name("other_layout.yaml")
COLUMNS = ["applicant_dob", "applicant_name", "applicant_mobile", "applicant_email"]
AS_OF = date(2023, 12, 31)


def applications(seed: int, count: int) -> list[list[str]]:
    """Rows with what this layout must tell apart."""
    pick = random.Random(seed).choice
    days = [
        "31/12/2002",
        "01/01/2003",
        "12/11/1990",
        "11/12/1990",
        "29/02/2000",
        "29/02/2001",
        "31/04/1980",
        "13/13/1990",
    ]
    days += ["1990-11-12", "1990/11/12", "01/02/1919", "31/12/1920", "1/2/1990", "", "01/01/2024", "05-06-1990"]
    titles = ["", "", "", "Encik ", "PUAN. ", "Tan Sri ", "tan sri Encik ", "Dato ", "Dato' ", "Mr "]
    names = ["Tan Ah Kow", "Siti binti Ahmad", "Lee", "Encikson Tan", "Ünal Øst", "", "=cmd", 'A "B", C', "9lives"]
    phones = [
        "91234567",
        "+6591234567",
        "+65 9123-4567",
        "6591234567",
        "+659123456",
        "+66 91234567",
        "01234567",
        "9123456a",
        "",
    ]
    mails = ["a.b@x.com", "A@B.NET", "z@club.sg", "z@club.org", "no mail", "", "a@b@c.com", "a@b.com "]
    return [[pick(days), pick(titles) + pick(names), pick(phones), pick(mails)] for _ in range(count)]  # fmt: skip


def birthday(text: str) -> date | None:
    """Day first with slashes, or ISO 8601; nothing else is a date here."""
    for shape, form in ((r"\d\d/\d\d/\d{4}", "%d/%m/%Y"), (r"\d{4}-\d\d-\d\d", "%Y-%m-%d")):
        if re.fullmatch(shape, text, re.ASCII):
            try:
                return datetime.strptime(text, form).date()
            except ValueError:
                return None
    return None


def without_titles(name: str) -> str:
    for title in ("encik", "puan", "tan sri", "dato"):
        for start in (title + " ", title + ". "):
            if name.lower().startswith(start):
                return without_titles(name[len(start) :].lstrip(" "))
    return name.strip(" ")


def expected(row: list[str]) -> tuple[list[str], list[str]]:
    """The output fields of an application that passes, and the rules that it fails."""
    written, name, phone, mail = row
    name, born = without_titles(name), birthday(written)
    phone = phone.replace(" ", "").replace("-", "").removeprefix("+65")
    adult = born is not None and (AS_OF.year - born.year - ((AS_OF.month, AS_OF.day) < (born.month, born.day)) >= 21)
    failed = []
    if not name[:1].isalpha():
        failed.append("named")
    if not (len(phone) == 8 and phone.isascii() and phone.isdigit()):
        failed.append("reachable")
    if not re.fullmatch(r"[a-z0-9.]+@[a-z0-9]+\.(com|net|sg)", mail, re.IGNORECASE | re.ASCII):
        failed.append("written")
    if born is None:
        failed.append("born")
    elif not 1920 <= born.year <= 2023:
        failed.append("alive")
    elif not adult:
        failed.append("adult")
    if failed:
        return ["" if born is None else str(adult).lower(), phone], failed
    assert born is not None
    day = f"{born:%Y%m%d}"
    surname = name.split(" ")[-1].lower()
    return [name, "+65" + phone, day, f"{surname}-{sha256(day.encode()).hexdigest()[:8]}"], []


def text(rows: list[list[str]]) -> str:
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue()


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "section1_manage.py", "--task-config", LAYOUT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("seed", [1, 2])
def test_another_yaml_is_all_that_another_layout_takes(tmp_path: Path, seed: int) -> None:
    files = {"a.csv": applications(seed, 300), "b.csv": applications(seed + 10, 200)}
    (tmp_path / "in").mkdir()
    for name, rows in files.items():
        (tmp_path / "in" / name).write_text(text([COLUMNS, *rows]), encoding="utf-8")
    done = run("--input", tmp_path / "in", "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr

    good, bad = [["member", "phone", "born", "key"]], [
        [*COLUMNS, "source_file", "record_number", "is_adult", "phone", "failed_rules"]
    ]  # fmt: skip
    reasons: Counter[str] = Counter()
    for name, rows in files.items():
        for number, row in enumerate(rows, 1):
            fields, failed = expected(row)
            reasons.update(failed)
            if failed:
                bad.append([*row, name, str(number), *fields, ";".join(failed)])
            else:
                good.append(fields)
    assert len(good) > 5 and set(reasons) == {"named", "reachable", "written", "born", "alive", "adult"}
    assert (tmp_path / "out/members/applications.csv").read_text(encoding="utf-8") == text(good)
    assert (tmp_path / "out/refused/applications.csv").read_text(encoding="utf-8") == text(bad)
    summary = json.loads(done.stdout)
    assert summary["records"] == 500
    assert summary["successful"] == len(good) - 1
    assert summary["reasons"] == dict(reasons)
    keys = Counter(fields[3] for fields in good[1:])
    assert summary["shared_ids"] == sum(count > 1 for count in keys.values())


def test_dry_run_knows_the_other_layout(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text([COLUMNS]))
    done = run("dry-run", "--input", tmp_path, "--output", tmp_path / "out", "--sql-kwargs", "country_code=60")
    assert done.returncode == 0, done.stderr
    assert "country_code=60" in done.stdout
    assert not (tmp_path / "out").exists()
