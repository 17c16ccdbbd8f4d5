"""Files that try to break intake, made in code: each with what must become of it. Also a slow reader as an oracle.

`CASES` are small; `BIG` ones are made where they are run. `mutated` breaks good files at random.
"""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HEADER = b"name,email,date_of_birth,mobile_no\n"
GOOD = b"Ann Lee,ann@lee.com,1990-01-31,91234567\n"
BAD = b"Bob Ray,bob@ray.org,1990-01-31,1234\n"
QUOTED = b'"Cy ""C"" Poe","cy@poe.net","1990-01-31","9123 4567"\n'
BOM = b"\xef\xbb\xbf"
LIMIT = 1 << 20


class Case(NamedTuple):
    """One file and its outcome: counts of records, fragments by reason, or why the file as a whole is left out."""

    name: str
    content: bytes = b""
    accepted: int = 0
    rejected: int = 0
    fragments: dict[str, int] = {}  # noqa: RUF012 - never written to
    refused: str = ""
    skipped: str = ""
    reasons: dict[str, int] | None = None  # of the records, where they are the point
    file: str | bytes = "x.csv"
    make: Callable[[Path], object] | None = None  # in place of the content
    fallback: str = "reject"


def row(
    *, name: str = "Ann Lee", email: str = "ann@lee.com", birth: str = "1990-01-31", mobile: str = "91234567"
) -> bytes:
    """A good application, but for what is given."""
    return f"{name},{email},{birth},{mobile}\n".encode()


def field_of(size: int, *, quoted: bool = False) -> bytes:
    """A good application of this many bytes, line end included; the name is long."""
    quote = b'"' if quoted else b""
    rest = quote + GOOD.removeprefix(b"Ann Lee")
    return quote + b"Ann " + b"L" * (size - len(rest) - len(quote) - 4) + rest


def _dates(name: str, *births: str, accepted: int = 0, fallback: str = "reject", **reasons: int) -> Case:
    """A file of good applications but for their birth dates."""
    content = HEADER + b"".join(row(birth=birth) for birth in births)
    return Case(f"dates-{name}", content, accepted, len(births) - accepted, reasons=reasons, fallback=fallback)


def _one(name: str, line: bytes, *reasons: str, accepted: int = 0) -> Case:
    """A file of one record, quoted or not, that fails these rules."""
    return Case(name, HEADER + line, accepted, 1 - accepted, reasons=dict.fromkeys(reasons, 1))


def _fragment(name: str, line: bytes, reason: str, **more: int) -> Case:
    """A bad line between two good ones, which must not suffer."""
    return Case(name, HEADER + GOOD + line + GOOD, 2, fragments={reason: 1} | more)


def _refused(name: str, content: bytes, reason: str) -> Case:
    return Case(name, content, refused=reason)


FILE_NAMES: list[str | bytes] = [
    *(
        "a b.csv",
        "a,b.csv",
        'a"b.csv',
        "a\nb.csv",
        "a\rb.csv",
        b"\xff\xfe.csv",
        "é王.csv",
        "a\\xff.csv",
        "X.CSV",
        "=1+1.csv",
    ),
    *("x" * 251 + ".csv", "'; drop table x; --.csv", "$(id).csv", "{0}%s.csv"),
]
GZ = gzip.compress(HEADER + GOOD + BAD, mtime=0)

CASES = [
    # encodings
    Case("bom", BOM + HEADER + GOOD, 1),
    Case("bom-quoted-header", BOM + b'"name","email","date_of_birth","mobile_no"\r\n' + GOOD, 1),
    Case("bom-before-a-row", HEADER + BOM + GOOD, 1),
    Case("bom-before-a-quoted-row", HEADER + BOM + QUOTED, fragments={"misplaced_quote": 1}),
    _refused("bom-twice", BOM + BOM + HEADER + GOOD, "missing_column"),
    _refused("bom-only", BOM, "missing_header"),
    _refused("utf16-le-bom", (HEADER + GOOD).decode().encode("utf-16"), "not_utf8"),
    _refused("utf16-be-bom", b"\xfe\xff" + (HEADER + GOOD).decode().encode("utf-16-be"), "not_utf8"),
    _refused("utf16-le", (HEADER + GOOD).decode().encode("utf-16-le"), "unreadable_header"),
    _refused("utf16-be", (HEADER + GOOD).decode().encode("utf-16-be"), "unreadable_header"),
    _refused("utf32-be-bom", b"\0\0\xfe\xff" + HEADER.decode().encode("utf-32-be"), "unreadable_header"),
    _refused("latin1-header", b"n\xe4me,email,date_of_birth,mobile_no\n" + GOOD, "unreadable_header"),
    _fragment("bad-utf8", b"J\xf6rg Lee,a@b.com,1990-01-31,91234567\n", "invalid_utf8"),
    _fragment("bad-utf8-in-quotes", b'"J\xf6rg\nLee",a@b.com,1990-01-31,91234567\n', "invalid_utf8"),
    _fragment("surrogate-in-utf8", b"\xed\xa0\x80 Lee,a@b.com,1990-01-31,91234567\n", "invalid_utf8"),
    _fragment("overlong-utf8", b"\xc0\xaf Lee,a@b.com,1990-01-31,91234567\n", "invalid_utf8"),
    Case("good-utf8", HEADER + row(name="Jürgen Ångström") + row(name="王 小明"), 2),
    _fragment("nul-in-a-field", b"An\0n Lee,a@b.com,1990-01-31,91234567\n", "nul_byte"),
    _fragment("nul-in-quotes", b'"An\0n Lee",a@b.com,1990-01-31,91234567\n', "nul_byte"),
    _fragment("only-nuls", b"\0" * 100 + b"\n", "nul_byte"),
    # line ends
    Case("crlf", (HEADER + GOOD + BAD).replace(b"\n", b"\r\n"), 1, 1),
    Case("cr", (HEADER + GOOD + BAD).replace(b"\n", b"\r"), 1, 1),
    Case("mixed-line-ends", HEADER + GOOD[:-1] + b"\r\n" + GOOD + GOOD[:-1] + b"\r" + QUOTED + GOOD, 5),
    Case("no-last-line-end", HEADER + GOOD + BAD[:-1], 1, 1),
    Case("last-line-ends-in-cr", HEADER + GOOD + BAD[:-1] + b"\r", 1, 1),
    Case("blank-lines", HEADER + b"\n" + GOOD + b"\n\n" + BAD + b"\n", 1, 1, {"blank_line": 4}),
    Case("blank-lines-crlf", (HEADER + GOOD + b"\n\n" + BAD).replace(b"\n", b"\r\n"), 1, 1, {"blank_line": 2}),
    Case("blank-lines-cr", (HEADER + GOOD + b"\n\n" + BAD).replace(b"\n", b"\r"), 1, 1, {"blank_line": 2}),
    Case("blank-lines-and-quotes", HEADER + QUOTED + b"\n" + QUOTED, 2, 0, {"blank_line": 1}),
    _fragment("line-of-spaces", b"   \t \n", "blank_line"),
    _fragment("lf-cr", b"\r", "blank_line"),
    Case("line-separators-of-unicode", HEADER + row(name="Ann\u2028Lee") + row(name="Ann\x0bLee\x85Poe"), 2),
    # quotes
    Case("quoted", HEADER + QUOTED * 3, 3),
    Case("quotes-here-and-there", HEADER + GOOD + QUOTED + BAD + QUOTED, 3, 1),
    Case("line-end-in-quotes", HEADER + b'"Ann\nLee",ann@lee.com,1990-01-31,91234567\n' + GOOD, 2),
    Case("crlf-in-quotes", HEADER + b'"Ann\r\nLee",ann@lee.com,1990-01-31,91234567\r\n' + GOOD, 2),
    Case("comma-in-quotes", HEADER + b'"Lee, Ann",ann@lee.com,1990-01-31,91234567\n', 1),
    Case("rejected-with-all-of-them", HEADER + b'"a,""b""\r\nc\rd",x,"\n",""""\n', 0, 1),
    Case("only-doubled-quotes", HEADER + b'"""""","""","""""""",""\n', 0, 1),
    Case("unclosed-first", HEADER + b'"' + GOOD * 4, 3, 0, {"unclosed_quote": 1}),
    _fragment("unclosed-middle", b'Ann,"ann@lee.com,1990-01-31,91234567\n', "unclosed_quote"),
    Case("unclosed-last", HEADER + GOOD * 3 + b'Ann,ann@lee.com,"1990-01-31,91234567\n', 3, 0, {"unclosed_quote": 1}),
    Case("unclosed-at-the-end", HEADER + GOOD * 3 + b'Ann,ann@lee.com,1990-01-31,"', 3, 0, {"unclosed_quote": 1}),
    Case("unclosed-everywhere", HEADER + (b'"x' + GOOD) * 3, 0, 0, {"unclosed_quote": 3}),
    Case("only-a-quote", HEADER + b'"', 0, 0, {"unclosed_quote": 1}),
    _fragment("text-after-a-quote", b'"Ann" Lee,ann@lee.com,1990-01-31,91234567\n', "misplaced_quote"),
    _fragment("quote-in-a-plain-field", b'Ann "A" Lee,ann@lee.com,1990-01-31,91234567\n', "misplaced_quote"),
    _fragment("space-before-a-quote", b'Ann, "ann@lee.com",1990-01-31,91234567\n', "misplaced_quote"),
    # shape of the rows
    _fragment("short", b"Ann Lee,ann@lee.com,1990-01-31\n", "too_few_fields"),
    _fragment("short-and-quoted", b'"Ann,Lee","ann@lee.com","1990-01-31"\n', "too_few_fields"),
    _fragment("short-and-wide", b'"' + b"x" * 200_000 + b'",b\n', "too_few_fields"),
    _fragment("long", b"Ann,Lee,ann@lee.com,1990-01-31,91234567\n", "too_many_fields"),
    _fragment("trailing-comma", b"Ann Lee,ann@lee.com,1990-01-31,91234567,\n", "too_many_fields"),
    _fragment("very-many-fields", b"," * 100_000 + b"\n", "too_many_fields"),
    Case("other-separator", HEADER + GOOD.replace(b",", b";") * 2, fragments={"too_few_fields": 2}),
    Case("empty-fields", HEADER + b",,,\n", 0, 1, reasons={"name": 1, "mobile": 1, "email": 1, "date": 1}),
    Case("record-of-the-limit", HEADER + field_of(LIMIT) + field_of(LIMIT, quoted=True), 2),
    Case("record-below-the-limit", HEADER + field_of(LIMIT - 1) + GOOD, 2),
    Case("record-above-the-limit", HEADER + field_of(LIMIT + 1) + GOOD, 1, 0, {"record_too_long": 1}),
    Case("quoted-above-the-limit", HEADER + field_of(LIMIT + 1, quoted=True) + GOOD, 1, 0, {"record_too_long": 1}),
    Case("some-lines-above-the-limit", HEADER + b'"' + (b"x" * 9999 + b"\n") * 110 + b'",b,c,d\n' + GOOD, 1, 0,
         {"unclosed_quote": 2, "too_few_fields": 109}),
    # headers
    _refused("empty-file", b"", "empty_file"),
    Case("header-only", HEADER),
    Case("header-only-without-line-end", HEADER[:-1]),
    _refused("blank-first-line", b"\n" + HEADER + GOOD, "missing_header"),
    _refused("no-header", GOOD * 2, "missing_header"),
    _refused("duplicate-column", b"name,email,email,date_of_birth,mobile_no\n", "duplicate_column"),
    _refused("duplicate-column-in-capitals", b"name,email,EMAIL,date_of_birth,mobile_no\n", "duplicate_column"),
    _refused("missing-column", b"name,email,mobile_no\nAnn Lee,a@b.com,91234567\n", "missing_column"),
    _refused("unknown-column", b"name,email,date_of_birth,mobile_no,age\n", "unknown_column"),
    _refused("trailing-comma-in-header", b"name,email,date_of_birth,mobile_no,\n" + GOOD, "unknown_column"),
    _refused("unclosed-quote-in-header", b'name,email,date_of_birth,"mobile_no\n' + GOOD, "unreadable_header"),
    _refused("nul-in-header", b"name\0,email,date_of_birth,mobile_no\n" + GOOD, "unreadable_header"),
    _refused("endless-header", HEADER[:-1] + b" " * LIMIT + b"\n" + GOOD, "header_too_long"),
    _refused("very-many-columns", HEADER[:-1] + b"".join(b",c%d" % n for n in range(50_000)) + b"\n", "unknown_column"),
    Case("reordered", b"mobile_no,date_of_birth,email,name\n91234567,1990-01-31,ann@lee.com,Ann Lee\n", 1),
    Case("capitals-in-header", HEADER.upper() + GOOD, 1),
    Case("padded-header", b" name ,\temail, date_of_birth,mobile_no \n" + GOOD, 1),
    Case("quoted-header", b'"name","email","date_of_birth","mobile_no"\n' + GOOD, 1),
    Case("header-twice", HEADER + GOOD + HEADER + GOOD, 2, 1),
    Case("header-ends-in-cr", HEADER[:-1] + b"\r" + GOOD, 1),
    # cells
    _one("formula-equals", row(name="=1+1 Lee"), "name"),
    _one("formula-plus", row(name="+A1 Lee"), "name"),
    _one("formula-minus", row(name="-A1 Lee"), "name"),
    _one("formula-at", row(name="@SUM Lee"), "name"),
    _one("name-of-spaces", row(name="   "), "name"),
    _one("name-of-no-break-spaces", row(name="\u00a0\u00a0"), "name"),
    _one("name-of-digits", row(name="123 456"), "name"),
    _one("trailing-spaces", row(name="Ann Lee  ", email="ann@lee.com ", mobile="91234567 "), accepted=1),
    _one("underscore-in-domain", row(email="ann@l_ee.com"), "email"),
    _one("two-dots", row(email="ann..a@lee.com"), "email"),
    _one("dot-first", row(email=".ann@lee.com"), "email"),
    _one("two-ats", row(email="ann@lee@lee.com"), "email"),
    _one("capitals-in-email", row(email="ANN@LEE.COM"), accepted=1),
    _one("unanchored-email", row(email="ann@lee.com.org"), "email"),
    _one("email-with-line-end", b'Ann Lee,"ann@lee.com\n",1990-01-31,91234567\n', "email"),
    _one("long-mobile", row(mobile="9" * 40), "mobile"),
    _one("spaced-mobile", row(mobile="9123-45 67"), accepted=1),
    _one("leading-zeros", row(mobile="00000001"), accepted=1),
    _one("full-width-digits", row(mobile="".join(chr(0xFF10 + n) for n in range(1, 9))), "mobile"),
    _one("full-width-date", row(birth="\uff11\uff19\uff19\uff10-01-31"), "date"),
    _one("letters-in-mobile", row(mobile="9123456O"), "mobile"),
    # dates
    _dates("years", "0000-01-01", "0001-01-01", "9999-12-31", "1899-12-31", "1900-01-01", accepted=1,
           date=1, birth_year=3, age=1),
    _dates("leap", "2000-02-29", "1900-02-29", "1996-02-29", "1997-02-29", "1996-02-30", accepted=2, date=3),
    _dates("impossible", "1990-13-01", "1990-00-10", "1990-01-00", "1990-04-31", "199-01-011", "1990-1-1", date=6),
    _dates("time-after", "1990-01-31T00:00:00", "1990-01-31 ", " 1990-01-31", "", "31 Jan 1990", date=5),
    _dates("no-proof", "01/02/1990", "03/03/1990", accepted=1, ambiguous_date=1),
    _dates("no-proof-day-first", "01/02/1990", "03/03/1990", accepted=2, fallback="day_first"),
    _dates("no-proof-month-first", "01/02/1990", accepted=1, fallback="month_first"),
    _dates("conflict", "01/02/1990", "13/02/1990", "02/13/1990", "04/04/1990", accepted=3, ambiguous_date=1),
    _dates("proven", "01/02/1990", "13/02/1990", accepted=2),
    _dates("proof-in-another-shape", "01/02/1990", "13-02-1990", accepted=1, ambiguous_date=1),
    _dates("declared-contradicted", "1990-31-01", "1990-01-31", accepted=1, date=1),
    _dates("age", "2004-01-01", "2004-01-02", "2003-12-31", accepted=2, age=1),
    # names of files
    *(
        Case(f"file-{n}", HEADER + GOOD + BAD + QUOTED, 2, 1, file=file)
        for n, file in enumerate(FILE_NAMES)
    ),
    Case("hidden", HEADER + GOOD, file=".x.csv", skipped="-"),
    Case("other-suffix", HEADER + GOOD, file="x.txt", skipped="-"),
    Case("half-uploaded", HEADER + GOOD, file="x.csv.part", skipped="-"),
    # what is no file
    Case("directory", make=lambda path: path.mkdir(), skipped="is not a regular file"),
    Case("symlink", make=lambda path: path.symlink_to("/etc/passwd"), skipped="is not a regular file"),
    Case("dangling-symlink", make=lambda path: path.symlink_to("nowhere"), skipped="is not a regular file"),
    Case("fifo", make=os.mkfifo, skipped="is not a regular file"),
    # gzip
    Case("gzip", GZ, 1, 1, file="x.csv.gz"),
    Case("gzip-in-capitals", GZ, 1, 1, file="X.CSV.GZ"),
    Case("gzip-of-two-members", gzip.compress(HEADER + GOOD) + gzip.compress(BAD), 1, 1, file="x.csv.gz"),
    Case("gzip-of-quotes", gzip.compress(HEADER + QUOTED + b'"\n' + BAD), 1, 1, {"unclosed_quote": 1}, file="x.csv.gz"),
    Case("gzip-of-nothing", gzip.compress(b""), refused="empty_file", file="x.csv.gz"),
    Case("gzip-of-gzip", gzip.compress(GZ), refused="unreadable_header", file="x.csv.gz"),
    Case("gzip-truncated", GZ[:-9], refused="corrupt_gzip", file="x.csv.gz"),
    Case("gzip-corrupt", GZ[:20] + b"\xff\xff" + GZ[22:], refused="corrupt_gzip", file="x.csv.gz"),
    Case("gzip-with-something-after", GZ + GOOD, refused="corrupt_gzip", file="x.csv.gz"),
    Case("not-gzip", HEADER + GOOD, refused="corrupt_gzip", file="x.csv.gz"),
    Case("not-gzip-but-empty", b"", refused="empty_file", file="x.csv.gz"),
    Case("gzip-under-a-plain-name", GZ, refused="unreadable_header"),
    Case("binary", random.Random(1).randbytes(100_000), refused="unreadable_header"),
]  # fmt: skip


def _write(path: Path, *parts: bytes) -> None:
    with gzip.open(path, "wb", 6) if path.suffix == ".gz" else open(path, "wb") as file:
        for part in parts:
            file.write(part)


def _big(name: str, make: Callable[[Path], object], accepted: int = 0, rejected: int = 0, **fragments: int) -> Case:
    return Case(name, b"", accepted, rejected, fragments, make=make)


MB = 1 << 20
BIG = [
    _big("field-of-100-mb", lambda p: _write(p, HEADER, GOOD, *[b"x" * MB] * 100, GOOD, GOOD), 2, record_too_long=1),
    _big("quoted-field-of-100-mb", lambda p: _write(p, HEADER, GOOD, b'"', *[b"x" * MB] * 100, b'"', GOOD, GOOD), 2,
         record_too_long=1),
    _big("100-mb-without-line-end", lambda p: _write(p, HEADER, GOOD, *[b'"' * MB] * 100), 1, record_too_long=1),
    _big("12-mb-of-short-rows", lambda p: _write(p, HEADER, *[b",,,\n" * MB] * 3), 0, 3 * MB),
    _big("12-mb-of-short-quoted-rows", lambda p: _write(p, HEADER, *[b'"",,,\n' * MB] * 2), 0, 2 * MB),
    _big("half-a-mb-of-blank-lines", lambda p: _write(p, HEADER, b"\r" * (MB // 2)), blank_line=MB // 2),
    _big("20-mb-of-unclosed-quotes", lambda p: _write(p, HEADER, *[b'"' + b"a" * 62 + b"\n"] * (20 * MB // 64)),
         unclosed_quote=20 * MB // 64),
    _big("20-mb-of-quotes", lambda p: _write(p, HEADER, *[b'"' * MB] * 20, b'"\n', GOOD), 1, record_too_long=1),
    Case("gzip-that-grows-1000-times", refused="gzip_too_large", file="x.csv.gz",
         make=lambda p: _write(p, HEADER, *[b"\n" * MB] * 300)),
    Case("gzip-of-a-100-mb-field", b"", 1, 0, {"record_too_long": 1}, file="x.csv.gz",
         make=lambda p: _write(p, HEADER, *[b"x" * MB] * 100, b"\n", GOOD)),
]  # fmt: skip


def lay_out(case: Case, folder: Path) -> Path:
    """Put a case's file into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / os.fsdecode(case.file)
    if case.make is not None:
        case.make(path)
    else:
        path.write_bytes(case.content)
    return path


def lay_out_all(folder: Path) -> dict[Path, Case]:
    """Put all crafted files that are plain bytes into one folder, under names that differ."""
    laid = {}
    for number, case in enumerate(CASES):
        if case.make is None and not case.skipped and case.fallback == "reject":
            name = os.fsencode(case.file)[:200]
            path = lay_out(case._replace(file=b"%03d " % number + name + b".csv"), folder)
            if b".gz" in name.lower():
                path = path.rename(path.with_name(path.name + ".gz"))
            laid[path] = case
    return laid


class Line(NamedTuple):
    """What the oracle sees: a record with its fields, or a fragment."""

    start: int
    end: int
    fields: list[str] | None


def split(data: bytes, width: int, limit: int = LIMIT) -> Iterator[Line]:
    """The records and fragments of the bytes after the header, one byte after the other."""
    start = 0
    while start < len(data):
        fields, end = _record(data, start, width, limit)
        if end == start:
            while end < len(data) and data[end] not in b"\r\n":
                end += 1
            end = _past_line_end(data, end)
        yield Line(start, end, fields)
        start = end


def _record(data: bytes, start: int, width: int, limit: int) -> tuple[list[str] | None, int]:
    """The fields and the end of a record; without fields where it is not UTF-8, without an end where there is none."""
    place, fields = start, []
    for number in range(width):
        value = bytearray()
        if data[place : place + 1] == b'"':
            place += 1
            while True:
                if place >= len(data) or data[place] == 0:
                    return None, start
                if data[place : place + 2] == b'""':
                    value += b'"'
                    place += 2
                elif data[place] == ord('"'):
                    place += 1
                    break
                else:
                    value.append(data[place])
                    place += 1
        else:
            while place < len(data) and data[place] not in b',"\r\n\0':
                value.append(data[place])
                place += 1
        try:
            fields.append(value.decode())
        except UnicodeDecodeError:
            fields.append("\ufffe")  # marks the record
        if number < width - 1:
            if data[place : place + 1] != b",":
                return None, start
            place += 1
    if place < len(data) and data[place] not in b"\r\n":
        return None, start
    if place + 1 - start > limit:
        return None, start
    end = _past_line_end(data, place)
    return (None if "\ufffe" in fields else fields), end


def _past_line_end(data: bytes, place: int) -> int:
    return min(len(data), place + (2 if data[place : place + 2] == b"\r\n" else 1))


TOKENS = [b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3", b" ", b'"\n', b',"', b'",', BOM, GOOD, BAD]
TOKENS += [QUOTED, b"=", b"-", b"0", b"13", b"/", "é".encode(), b"\xe2\x80\xa8", b"\n\n", b"x" * 300, b",,,\n"]


def mutated(seed: int) -> bytes:
    """A good file, broken at random in up to six places; the header in one file of ten."""
    chance = random.Random(seed)
    rows = [
        *(GOOD, BAD, QUOTED, row(birth="25/12/1999"), row(birth="12-25-1999"), row(birth="01/02/1990")),
        *(b'"An\nn",a@b.com,1990/01/31,"9123,4567"\r\n', row(name="Mr. Al B. Cee Jr."), row(mobile="9123 4567")),
    ]
    data = bytearray(b"".join(chance.choices(rows, k=chance.randint(0, 9))))
    if chance.random() < 0.3:
        data = bytearray(data.rstrip(b"\r\n"))
    head = bytearray(HEADER)
    for _ in range(chance.randint(1, 6)):
        target = head if chance.random() < 0.02 else data
        at, to = sorted((chance.randint(0, len(target)), chance.randint(0, len(target))))
        match chance.randrange(6):
            case 0 | 1:
                target[at:at] = chance.choice(TOKENS)
            case 2:
                del target[at : min(to, at + 20)]
            case 3 if at < len(target):
                target[at] = chance.randrange(256)
            case 4:
                target[at:at] = target[at : min(to, at + 80)]
            case _:
                target[:] = target.replace(b"\n", chance.choice([b"\r\n", b"\r", b"\n\n", b"\n"]), chance.randint(1, 3))
    return b"" if chance.random() < 0.005 else bytes(head + data)
