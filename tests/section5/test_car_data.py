"""A file of the user's own: accepted when it is complete, refused with the place of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.errors import InputError
from section5 import data
from section5.data import Data
from section5.rules import Rules, rows_as_csv

HEADER = b"buying,maint,doors,persons,lug_boot,safety,class\n"


def test_the_published_file_is_read(file: Path, made: Rules, cars: Data) -> None:
    read = data.load(file, made)
    assert read.sha256 == made.sha256
    assert (read.classes == cars.classes).all()
    assert read.counts().sum() == 1728


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_order_header_and_line_ends_do_not_matter(file: Path, made: Rules, newline: bytes) -> None:
    lines = made.csv().splitlines()
    turned = [b",".join(line.split(b",")[::-1]) for line in (HEADER.strip(), *lines[::-1])]
    file.write_bytes(b"\xef\xbb\xbf" + newline.join(turned))
    assert data.load(file, made).sha256 == made.sha256


@settings(max_examples=10, deadline=None)
@given(classes=st.lists(st.sampled_from(["unacc", "acc", "good", "vgood"]), min_size=1728, max_size=1728))
def test_any_classes_survive_a_file(tmp_path_factory: pytest.TempPathFactory, made: Rules, classes: list[str]) -> None:
    path = tmp_path_factory.mktemp("own") / "own.csv"
    path.write_bytes(rows_as_csv(made.schema, classes))
    read = data.load(path, made)
    assert [made.schema.columns["class"][code] for code in read.classes] == classes


FIRST = b"vhigh,vhigh,2,2,small,low,unacc\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        (
            FIRST,
            FIRST * 2,
            2,
            "buying=vhigh maint=vhigh doors=2 persons=2 lug_boot=small safety=low stands there twice",
        ),
        (FIRST, FIRST + FIRST.replace(b"unacc", b"acc"), 2, "twice, as unacc and acc; first in line 1"),
        (FIRST, b"", None, "1 of the 1,728 combinations are missing: buying=vhigh maint=vhigh doors=2"),
        (FIRST, FIRST.replace(b",low", b","), 1, "safety is empty\n  Allowed are: low, med, high."),
        (FIRST, FIRST.replace(b"unacc", b"NaN"), 1, "`NaN` is no value of class"),
        (FIRST, FIRST.replace(b",2,2", b",2"), 1, "7 columns are needed"),
        (FIRST, FIRST.replace(b"low", b"low,x"), 1, "and 8 are there"),
        (FIRST, FIRST + b"\n", 2, "and 0 are there"),
        (FIRST, FIRST.replace(b"low", b"\xff"), 1, "not UTF-8"),
        (FIRST, FIRST.replace(b"low", b'"low'), 1728, "not a line of comma-separated values"),
        (FIRST, HEADER.replace(b"doors", b"dors") + FIRST, 1, "unknown column `dors`\n  Did you mean `doors`?"),
        (FIRST, HEADER.replace(b"doors", b"maint") + FIRST, 1, "column `maint` is there twice"),
        (FIRST, HEADER.replace(b"doors,", b"") + FIRST, 1, "column `doors` is missing"),
    ],
)
def test_what_is_wrong_is_named(
    file: Path, made: Rules, old: bytes, new: bytes, line: int | None, problem: str
) -> None:
    file.write_bytes(file.read_bytes().replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        data.load(file, made)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{file}:{line}:" if line else f"{file}: ")


def test_what_is_no_data_is_refused(tmp_path: Path, made: Rules) -> None:
    empty, large = tmp_path / "empty", tmp_path / "large"
    empty.touch()
    large.write_bytes(b"x" * (data.LARGEST + 1))
    for path, problem in (
        (empty, "1,728 of the 1,728 combinations are missing"),
        (large, "larger than 4 MiB"),
        (tmp_path, "Is a directory"),
        (tmp_path / "absent", "No such file"),
    ):
        with pytest.raises(InputError, match=problem):
            data.load(path, made)
