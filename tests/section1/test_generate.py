"""The generator of look-alike applications: same bytes each time, the right proportions, every trap."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

from section1 import generate as module
from section1.generate import HEADER, PLANTED_FROM, generate

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "section1/resource/src/application"
FORMATS = {
    "9999-99-99": "%Y-%m-%d",
    "9999/99/99": "%Y/%m/%d",
    "99-99-9999": "%d-%m-%Y",
    "99/99/9999": "%m/%d/%Y",
}
TITLES = {"Mr.", "Mrs.", "Ms.", "Dr.", "Miss"}
SUFFIXES = {"MD", "DDS", "DVM", "PhD", "Jr.", "III", "II"}

Row = dict[str, str]


def read(paths: list[Path]) -> list[Row]:
    rows: list[Row] = []
    for path in paths:
        with path.open(encoding="ascii", newline="") as file:
            rows += csv.DictReader(file)
    return rows


def shape(row: Row) -> str:
    return re.sub(r"\d", "9", row["date_of_birth"])


def birth(row: Row) -> date | None:
    try:
        return datetime.strptime(row["date_of_birth"], FORMATS[shape(row)]).date()
    except ValueError:
        return None


def digits(row: Row) -> str:
    return row["mobile_no"].replace(" ", "")


def domain(row: Row) -> str:
    return row["email"].split("@")[1]


def affixes(row: Row) -> str:
    words = row["name"].split(" ")
    return "title" * (words[0] in TITLES) + "suffix" * (words[-1] in SUFFIXES)


def surname(row: Row) -> str:
    """All after the first name, without title and suffix."""
    return " ".join([word for word in row["name"].split(" ") if word not in TITLES | SUFFIXES][1:])


def valid(row: Row) -> bool:
    """The challenge's rule as of 1 January 2022, written independently of the job's."""
    born = birth(row)
    adult = born is not None and born <= date(2004, 1, 1)
    return adult and len(digits(row)) == 8 and domain(row).endswith((".com", ".net"))


def percent(rows: list[Row], kind: Callable[[Row], object]) -> dict[object, float]:
    """How many per cent of the rows are of each kind."""
    return {key: 100 * count / len(rows) for key, count in Counter(map(kind, rows)).items()}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return read(generate(tmp_path_factory.mktemp("many"), 100_000))


def test_the_shipped_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    paths = generate(tmp_path, rows=5000)
    assert [path.name for path in paths] == ["applications_dataset_1.csv", "applications_dataset_2.csv"]
    for path in paths:
        assert path.read_bytes() == (SAMPLE / path.name).read_bytes()


def test_same_arguments_same_bytes_and_another_seed_other_rows(tmp_path: Path) -> None:
    one, again, other = (generate(tmp_path / name, 3000, seed=seed) for name, seed in [("a", 7), ("b", 7), ("c", 8)])
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in again]
    assert sum(mine == theirs for mine, theirs in zip(read(one), read(other), strict=True)) == 0


def test_a_row_depends_on_neither_files_nor_chunks_nor_later_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = read(generate(tmp_path / "two", 3000))
    monkeypatch.setattr(module, "_CHUNK", 701)
    assert read(generate(tmp_path / "seven", 3000, files=7)) == rows
    assert read(generate(tmp_path / "short", 700)) == rows[:700]


def test_dates_have_four_shapes_in_equal_parts_with_one_format_each(many: list[Row]) -> None:
    assert percent(many, shape) == pytest.approx(dict.fromkeys(FORMATS, 25), abs=0.7)
    years = Counter(born.year for born in map(birth, many) if born)
    assert years.pop(1819) == 1
    assert (min(years), max(years), len(years)) == (1950, 2018, 69)


def test_names_have_titles_and_suffixes_in_proportion(many: list[Row]) -> None:
    expected = {"": 96, "title": 1.7, "suffix": 1.9, "titlesuffix": 0.4}
    assert percent(many, affixes) == pytest.approx(expected, abs=0.25)
    words = {word for row in many for word in row["name"].split(" ")}
    assert words >= TITLES | SUFFIXES
    assert "Miss." not in words


@pytest.mark.parametrize("mark", [" ", "-", "'"])
def test_a_few_surnames_are_particles_hyphenated_or_with_an_apostrophe(many: list[Row], mark: str) -> None:
    sample = read(sorted(SAMPLE.glob("*.csv")))
    assert any(mark in surname(row) for row in sample)
    assert 0 < sum(mark in surname(row) for row in many) < 0.002 * len(many)
    assert all(re.fullmatch(r"[A-Za-z]+_[A-Za-z-]+\d+", row["email"].split("@")[0]) for row in many)


def test_mail_domains_in_proportion_and_addresses_unique(many: list[Row]) -> None:
    expected = {"com": 60, "net": 10, "biz": 10, "info": 10, "org": 10}
    assert percent(many, lambda row: domain(row).split(".")[1]) == pytest.approx(expected, abs=0.7)
    assert percent(many, lambda row: "-" in domain(row))[True] == pytest.approx(100 / 3, abs=0.7)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)?\.[a-z]+", domain(row)) for row in many)
    assert len({row["email"].lower() for row in many}) == len(many)


@pytest.mark.parametrize("end", ["nett", "net", "com"])
def test_an_unanchored_mail_pattern_is_caught_by_the_sample(end: str) -> None:
    careless, trap = re.compile("@.+(.com|.net)"), re.compile(rf"{end}\.(biz|info|org)$")
    caught = [row for row in read(sorted(SAMPLE.glob("*.csv"))) if trap.search(row["email"])]
    assert caught
    assert all(careless.search(row["email"]) and not valid(row) for row in caught)


def test_mobiles_have_5_to_8_digits_in_equal_parts(many: list[Row]) -> None:
    assert percent(many, lambda row: len(digits(row))) == pytest.approx(dict.fromkeys(range(5, 9), 25), abs=0.7)
    assert percent(many, lambda row: digits(row)[0]) == pytest.approx(dict.fromkeys("123456789", 100 / 9), abs=0.7)


def test_exactly_the_month_first_rows_split_their_eight_digits(many: list[Row]) -> None:
    for row in many:
        split = len(digits(row)) == 8 and shape(row) == "99/99/9999"
        assert re.fullmatch(r"\d{4} \d{4}" if split else r"\d{5,8}", row["mobile_no"])


def test_about_one_application_in_seven_is_valid(many: list[Row]) -> None:
    assert percent(many, valid)[True] == pytest.approx(13.8, abs=0.5)


@pytest.mark.parametrize("rows", [PLANTED_FROM, 1001, 5000, 50_000])
@pytest.mark.parametrize("files", [1, 2, 3])
def test_one_impossible_date_and_one_birth_in_1819_on_7_digit_mobiles(tmp_path: Path, rows: int, files: int) -> None:
    applications = read(generate(tmp_path, rows, files))
    impossible = [row for row in applications if birth(row) is None]
    ancient = [row for row in applications if "1819" in row["date_of_birth"]]
    assert [row["date_of_birth"] for row in impossible] == ["1996/02/31"]
    assert [len(row["mobile_no"]) for row in impossible + ancient] == [7, 7]


@pytest.mark.parametrize("rows", [PLANTED_FROM, 1001, 5000])
@pytest.mark.parametrize("seed", [1, 2, 12345])
def test_two_valid_applicants_in_two_files_share_surname_and_birth_date(tmp_path: Path, rows: int, seed: int) -> None:
    one, two = ([row for row in read([path]) if valid(row)] for path in generate(tmp_path, rows, seed=seed))
    assert {(surname(row), birth(row)) for row in one} & {(surname(row), birth(row)) for row in two}


def test_the_sample_has_one_such_pair() -> None:
    ids = Counter((surname(row), birth(row)) for row in read(sorted(SAMPLE.glob("*.csv"))) if valid(row))
    assert [count for count in ids.values() if count > 1] == [2]


@pytest.mark.parametrize(
    ("rows", "files", "sizes"),
    [
        (0, 2, [0, 0]),
        (1, 2, [0, 1]),
        (2, 2, [0, 2]),
        (2, 5, [0, 0, 1, 0, 1]),
        (999, 2, [399, 600]),
        (999, 1, [999]),
        (40_000, 3, [13_333, 13_333, 13_334]),
    ],
)
def test_rows_are_spread_over_files(tmp_path: Path, rows: int, files: int, sizes: list[int]) -> None:
    paths = generate(tmp_path / "made" / "here", rows, files)
    assert [len(read([path])) for path in paths] == sizes
    for path in paths:
        text = path.read_bytes().decode("ascii")
        assert text.startswith(HEADER)
        assert text.endswith("\n")
        assert not re.search(r'[\r\t"]|  | ,|, |,,', text)


@pytest.mark.parametrize(("rows", "files", "seed"), [(-1, 2, 1), (1, 0, 1), (1, 2, -1)])
def test_impossible_arguments_write_nothing(tmp_path: Path, rows: int, files: int, seed: int) -> None:
    with pytest.raises(ValueError):
        generate(tmp_path / "new", rows, files, seed)
    assert not (tmp_path / "new").exists()


def test_files_appear_only_when_complete_and_replace_older_ones(tmp_path: Path) -> None:
    (tmp_path / "applications_dataset_1.csv").write_text("old")
    seen: list[tuple[int, list[str], bool]] = []

    def look(count: int) -> None:
        names = sorted(path.name for path in tmp_path.iterdir())
        seen.append((count, names, (tmp_path / "applications_dataset_1.csv").read_text() == "old"))

    generate(tmp_path, 5000, progress=look)
    one, two = "applications_dataset_1.csv", "applications_dataset_2.csv"
    assert seen == [(2000, [f".{one}.part", one], True), (3000, [f".{two}.part", one], False)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [one, two]


def test_a_failure_leaves_no_part_and_the_older_file(tmp_path: Path) -> None:
    generate(tmp_path, 10)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, 5000, progress=stop)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from section1.generate import generate
folder = Path(sys.argv[1])
generate(folder, 50_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
generate(folder, 1_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    grown = int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    unit = 1 if sys.platform == "darwin" else 1024
    assert grown * unit < 8 * 2**20  # the text is 67 MB
