"""What is published of an accepted application, column by column."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

from applications import run, write

NAMES = {
    "Ada Lovelace": ("Ada", "Lovelace"),
    "Ms. Ada Lovelace PhD": ("Ada", "Lovelace"),
    " Ada\t Lovelace ": ("Ada", "Lovelace"),
    "Jan van der Berg": ("Jan", "van der Berg"),
    "Dr. Zoë Çelik Jr.": ("Zoë", "Çelik"),
    "Cher": ("", "Cher"),
}
MOBILES = ("12345678", " 1234 5678", "12-34-56-78")
EMAILS = ("ada@example.com", "  ada@example.com ")


def test_fields(tmp_path: Path) -> None:
    given = list(product(NAMES, EMAILS, MOBILES))
    write(tmp_path / "in", "a.csv", "".join(f"{name},{email},1971-07-03,{mobile}\n" for name, email, mobile in given))
    assert run(tmp_path / "in", tmp_path / "out")["unsuccessful"] == 0
    with open(tmp_path / "out" / "successful_application" / "applications.csv", newline="", encoding="utf-8") as file:
        header, *published = csv.reader(file)
    assert header == ["first_name", "last_name", "date_of_birth", "mobile_no", "email", "above_18", "membership_id"]
    for (name, _, _), fields in zip(given, published, strict=True):
        first, last = NAMES[name]
        assert fields == [first, last, "19710703", "12345678", "ada@example.com", "true", f"{last}_fc7cb"]
