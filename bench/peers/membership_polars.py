"""The membership job written by hand with streaming Polars, to win.

    python membership_polars.py INPUT_DIR OUTPUT_DIR

One lazy plan reads every CSV of the folder once and feeds both outputs, which are synced to the disk. The costly
steps are kept from rows that do not need them: names and ids are made for accepted rows only, text is quoted only
where an input has quotes, and SHA-256, which Polars lacks, is taken once per birthday.
"""

import sys
from datetime import date
from hashlib import sha256
from pathlib import Path

import polars as pl
from polars import col

COLUMNS = ("name", "email", "date_of_birth", "mobile_no")

# In any case; titles and suffixes with or without a last dot, as often as they occur.
TITLE = r"(?:mr|mrs|ms|miss|mx|mdm|madam|dr|prof|rev|sir)\.?"
SUFFIX = r"(?:jr|sr|ii|iii|iv|md|m\.d|dds|d\.d\.s|dvm|d\.v\.m|phd|ph\.d|esq)\.?"
TITLES = rf"^(?i:{TITLE}(?: +|$))+"
SUFFIXES = rf"(?i:(?:^|,? +){SUFFIX})+$"
NAMELESS = rf"^ *(?i:{TITLE}(?: +|$))*(?i:{SUFFIX}(?:,? +{SUFFIX})*)? *$"  # nothing is left of the name
MOBILE = r"^[ -]*(?:[0-9][ -]*){8}$"
LOCAL = r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*"
LABELS = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+"
EMAIL = rf"^ *{LOCAL}@{LABELS}(?:[Cc][Oo][Mm]|[Nn][Ee][Tt]) *$"

BORN_BY = date(2004, 1, 1)  # 18 years before 2022-01-01
RULES = ("name", "mobile", "email", "date", "birth_year", "age")  # a failed rule is a bit; the order of failed_rules
NAME, MOBILE_NO, E_MAIL, DATE, BIRTH_YEAR, AGE = (1 << bit for bit in range(len(RULES)))
REASONS = [";".join(rule for bit, rule in enumerate(RULES) if failed >> bit & 1) for failed in range(1 << len(RULES))]


def has_quotes(files: list[Path]) -> bool:
    """Whether a quote is in any file. Without one no field needs quotes on its way out: half the cost of writing."""
    for path in files:
        with path.open("rb", buffering=0) as file:
            if any(b'"' in block for block in iter(lambda: file.read(1 << 18), b"")):
                return True
    return False


def read(files: list[Path], quotes: bool) -> pl.LazyFrame:
    """All records with their origin; they are numbered from 1 in each file."""
    return pl.concat(
        pl.scan_csv(
            file,
            schema=dict.fromkeys(COLUMNS, pl.String),
            quote_char='"' if quotes else None,
            row_index_name="record_number",
            row_index_offset=1,
        ).with_columns(source_file=pl.lit(file.name))
        for file in files
    )


def birth() -> pl.Expr:
    """The date of birth; the order of day and month is fixed per shape."""
    text = col("date_of_birth")

    def in_format(form: str) -> pl.Expr:
        return text.str.to_date(form, strict=False, cache=False)

    third, fifth = text.str.slice(2, 1), text.str.slice(4, 1)
    return (
        pl.when(third == "-")
        .then(in_format("%d-%m-%Y"))
        .when(third == "/")
        .then(in_format("%m/%d/%Y"))
        .when(fifth == "-")
        .then(in_format("%Y-%m-%d"))
        .otherwise(in_format("%Y/%m/%d"))
    )


def unless(test: pl.Expr, bit: int) -> pl.Expr:
    """The rule's bit where the test is not true; null is not true."""
    return pl.when(test).then(pl.lit(0, pl.UInt8)).otherwise(pl.lit(bit, pl.UInt8))


def judge(records: pl.LazyFrame) -> pl.LazyFrame:
    """Label every record with its failed rules."""
    dated = records.with_columns(birth=birth()).with_columns(above_18=col("birth") <= BORN_BY)
    of_birth = unless(col("birth").dt.year().is_between(1900, 2022), BIRTH_YEAR) + unless(col("above_18"), AGE)
    return dated.with_columns(
        failed=unless(~col("name").str.contains(NAMELESS), NAME)
        + unless(col("mobile_no").str.contains(MOBILE), MOBILE_NO)
        + unless(col("email").str.contains(EMAIL), E_MAIL)
        + pl.when(col("birth").is_null()).then(pl.lit(DATE, pl.UInt8)).otherwise(of_birth)
    )


def accepted(judged: pl.LazyFrame) -> pl.LazyFrame:
    """The accepted records in the columns of the output."""
    digests: dict[str, str] = {}

    def digest(days: pl.Series) -> pl.Series:
        digests.update((day, sha256(day.encode()).hexdigest()[:5]) for day in days.unique() if day not in digests)
        return pl.Series([digests[day] for day in days], dtype=pl.String)

    full_name = col("name").str.strip_chars(" ").str.replace(TITLES, "").str.replace(SUFFIXES, "")
    words = full_name.str.splitn(" ", 2).struct.unnest()
    one_word = col("field_1").is_null()
    last_name = pl.when(one_word).then(col("field_0")).otherwise(col("field_1"))
    day = col("birth").dt.strftime("%Y%m%d")
    named = judged.filter(col("failed") == 0).with_columns(words, day=day)
    return named.select(
        first_name=pl.when(~one_word).then(col("field_0")),
        last_name=last_name,
        date_of_birth=col("day"),
        mobile_no=col("mobile_no").str.replace_all("[ -]", ""),
        email=col("email").str.strip_chars(" "),
        above_18=col("above_18"),
        membership_id=pl.concat_str(
            last_name, pl.lit("_"), col("day").map_batches(digest, return_dtype=pl.String, is_elementwise=True)
        ),
    )


def rejected(judged: pl.LazyFrame) -> pl.LazyFrame:
    """The other records, untouched, with their origin and what they failed."""
    reasons = col("failed").cat.to(pl.Enum(REASONS))  # the bits are the position of their text
    return judged.filter(col("failed") != 0).select(
        *COLUMNS, "source_file", "record_number", "above_18", failed_rules=reasons
    )


def main(source: Path, output: Path) -> None:
    """Run the whole job in one plan."""
    files = sorted(source.glob("*.csv"))
    quotes = has_quotes(files)
    judged = judge(read(files, quotes))
    outputs = {"successful_application": accepted(judged), "unsuccessful_application": rejected(judged)}
    sinks = [
        frame.sink_csv(
            output / folder / "applications.csv",
            quote_style="necessary" if quotes else "never",
            sync_on_close="all",
            mkdir=True,
            lazy=True,
        )
        for folder, frame in outputs.items()
    ]
    pl.collect_all(sinks, engine="streaming")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
