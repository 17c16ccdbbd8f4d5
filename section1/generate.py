"""Look-alike membership applications: as many as wanted, with the traps of the challenge's published inputs.

The published inputs carry no licence, so nothing here is theirs: every name and domain is put together from
invented syllables, and only the proportions follow what can be counted in those files. Well-formed CSV only;
files that are broken on purpose belong to the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER = "name,email,date_of_birth,mobile_no\n"
PLANTED_FROM = 1000
"""Sets of at least this many rows hold the rows of `_planted`."""

_CHUNK = 1 << 14  # rows in memory at a time; their number changes no byte


def _words(heads: str, tails: str) -> list[str]:
    return [head + tail for head in heads.split() for tail in tails.split()]


_FIRST = _words(
    "Bel Cor Dal Elv Fen Gar Hal Ist Jor Kel Lor Mav Nor Orl Per Quin Ros Sel Tam Ulm Ver Wil Yor Zan",
    "a an en ia ina is o on ric yn",
)
_PLAIN_LAST = _words(
    "Ald Ambr Bram Brock Carv Crov Dren Dunn Elm Eskr Fald Farn Gresh Grim Harv Holb Ing Irv "
    "Jarr Jasp Kend Kirv Lang Lund Marl Nesb Oster Prest Quar Rend Sall Thorn Ulv Varl Wend Yarl Zell",
    "ale ard ay bank by dale den ell er ett field ford grove ham hurst ing ley low man mere ock ridge ton wood",
)
# The published inputs have no such surnames, real ones do: one applicant in 500 gets one.
_RARE_LAST = [
    *("van der Loem", "van den Aske", "de la Vorne", "von Tarlow", "di Maresta", "le Quenne"),
    *("Thornby-Elmer", "Lundale-Brammere", "Vendell-Ardley", "O'Farnell", "O'Dresham", "D'Ambrell"),
]
_LAST = _PLAIN_LAST * 7 + _RARE_LAST
_LOCAL = [last.replace(" ", "").replace("'", "") for last in _LAST]  # as an e-mail's local part spells it

# Of 1,000 applicants 960 are plain, 17 have a title, 19 a suffix and 4 both, in the published inputs'
# proportions. `Miss` is the one title without a dot.
_TITLES = ["Mr. "] * 7 + ["Dr. "] * 4 + ["Mrs. "] * 4 + ["Ms. ", "Miss "]
_SUFFIXES = [" MD"] * 7 + [" DDS"] * 4 + [" DVM"] * 3 + [" PhD"] * 2 + [" Jr.", " III", " II"]
_TITLE = [""] * 960 + _TITLES + [""] * len(_SUFFIXES) + ["Mr. ", "Dr. ", "Mrs. ", "Miss "]
_SUFFIX = [""] * 960 + [""] * len(_TITLES) + _SUFFIXES + [" MD", " DDS", " PhD", " DVM"]

# A domain is a label, for one applicant in three a hyphen and a second label, and a top level. Labels in
# "nett" are the published inputs' trap, and "net" and "com" do the same: before .biz they pass a pattern that
# leaves its dot unescaped and its end open.
_TRAPS = _words("alder bar cor dor elve far gor hal jen lor", "net com")
_LABEL = [last.lower() for last in _PLAIN_LAST] + _TRAPS
_SECOND = ["-" + label for label in _LABEL] + [""] * (2 * len(_LABEL))
_TOP = ["com"] * 6 + ["net", "biz", "info", "org"]


def generate(
    folder: Path, rows: int, files: int = 2, seed: int = 1, progress: Callable[[int], object] | None = None
) -> list[Path]:
    """Write `rows` applications as `applications_dataset_1.csv`, `_2.csv`, ... in `folder`; return the paths.

    Two files share the rows 2:3, any other number of files evenly. Each file is written under a hidden name
    (`.<name>.part`) and renamed into place when complete, replacing a file of that name: a job that looks at
    the folder meanwhile never reads half a file. `progress` gets the number of rows written since it was last
    called (it fits `tqdm.update`). Memory use does not depend on `rows`.

    The same arguments give the same bytes everywhere: all choices are raw 64-bit outputs of numpy's PCG64
    seeded through its SeedSequence, whose streams NEP 19 freezes (not so those of `Generator`'s methods), and
    integer arithmetic of our own. Row n takes the same nine outputs however the rows are spread over files.

    Every e-mail of a set is unique, because it carries the row's number; about 14 % of the applications are
    valid.

    Raises ValueError for negative `rows` or `seed` and for less than one file.
    """
    from numpy.random import PCG64

    if rows < 0 or files < 1:
        raise ValueError(f"cannot spread {rows} rows over {files} files: rows must be >= 0, files >= 1")
    bits = PCG64(seed)
    planted = _planted(rows, seed)
    ends = [rows * 2 // 5, rows] if files == 2 else [rows * number // files for number in range(1, files + 1)]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True), start=1):
        path = folder / f"applications_dataset_{number}.csv"
        part = folder / f".{path.name}.part"
        try:
            with part.open("w", encoding="ascii", newline="\n") as file:
                file.write(HEADER)
                for first in range(start, end, _CHUNK):
                    count = min(_CHUNK, end - first)
                    file.writelines(_lines(bits.random_raw((count, 9)), first, planted))
                    if progress:
                        progress(count)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        paths.append(path)
    return paths


def _planted(rows: int, seed: int) -> dict[int, dict[str, str]]:
    """Row number (from 0) -> the fields that are fixed in it.

    The published inputs hold one impossible date and one birth year 1819, both of applicants with 7-digit
    mobiles, and two valid applicants who share surname and birth date and thereby the membership id. Here
    those two write their birth date in different shapes and, of two files, stand in different ones.
    """
    if rows < PLANTED_FROM:
        return {}
    surname = _PLAIN_LAST[seed % len(_PLAIN_LAST)]
    twin = {"title": "", "surname": surname, "suffix": "", "local": surname, "top": "com"}
    return {
        rows // 4: {**twin, "born": "1971-08-14", "mobile": "81357924"},
        rows // 3: {"born": "1996/02/31", "mobile": "6180339"},
        rows // 2: {"born": "19-05-1819", "mobile": "2718281"},
        rows * 3 // 4: {**twin, "born": "08/14/1971", "mobile": "9246 8135"},
    }


@cache
def _birth_dates() -> list[str]:
    """Every day of the published inputs' birth years, 1950-2018, in each of their four shapes."""
    first, last = date(1950, 1, 1), date(2018, 12, 31)
    iso = [(first + timedelta(days)).isoformat() for days in range((last - first).days + 1)]
    days = [day.split("-") for day in iso]
    return (
        iso
        + [f"{year}/{month}/{day}" for year, month, day in days]
        + [f"{day}-{month}-{year}" for year, month, day in days]
        + [f"{month}/{day}/{year}" for year, month, day in days]
    )


def _lines(raw: NDArray[np.uint64], start: int, planted: dict[int, dict[str, str]]) -> Iterator[str]:
    """The CSV lines of the rows from number `start` (from 0) on, made of nine random numbers each."""
    import numpy as np

    draws: Iterator[NDArray[np.uint64]] = iter(raw.T)

    def column(table: Sequence[str], draw: NDArray[np.uint64]) -> list[str]:
        return [table[index] for index in (draw % np.uint64(len(table))).tolist()]

    affix, last, born = next(draws), next(draws), next(draws)
    # A mobile has 5, 6, 7 or 8 digits and no leading zero.
    least = np.array([10**4, 10**5, 10**6, 10**7], dtype=np.uint64)[next(draws) % np.uint64(4)]
    mobile = least + next(draws) % (np.uint64(9) * least)
    fields = {
        "title": column(_TITLE, affix),
        "first": column(_FIRST, next(draws)),
        "surname": column(_LAST, last),
        "suffix": column(_SUFFIX, affix),
        "local": column(_LOCAL, last),
        "label": column(_LABEL, next(draws)),
        "second": column(_SECOND, next(draws)),
        "top": column(_TOP, next(draws)),
        "born": column(_birth_dates(), born),
        "mobile": [str(number) for number in mobile.tolist()],
    }
    # The published inputs split the 8-digit mobiles beside MM/dd/yyyy dates, and no others, by a space.
    for row in np.flatnonzero(mobile >= 10**7).tolist():
        if fields["born"][row][2] == "/":
            fields["mobile"][row] = f"{fields['mobile'][row][:4]} {fields['mobile'][row][4:]}"
    for row in planted.keys() & range(start, start + len(raw)):
        for name, value in planted[row].items():
            fields[name][row - start] = value
    applicants = enumerate(zip(*fields.values(), strict=True), start + 1)
    for row, (title, first, surname, suffix, local, label, second, top, birth, phone) in applicants:
        yield f"{title}{first} {surname}{suffix},{first}_{local}{row}@{label}{second}.{top},{birth},{phone}\n"
