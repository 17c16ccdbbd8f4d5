"""The membership job written by hand with streaming Polars, to win.

    python membership_polars.py INPUT_DIR OUTPUT_DIR

One lazy plan reads every CSV of the folder once and feeds both outputs, which are synced to the disk. The costly
steps are kept from rows that do not need them: names and ids are made for accepted rows only, text is quoted only
where an input has quotes, and SHA-256, which Polars lacks, is taken once per birthday. The order of day and month is
what the first records prove; dates that cannot be read by it are looked at afterwards, and where they prove the other
order, all is done again.
"""

import sys
from datetime import date
from hashlib import sha256
from pathlib import Path

import polars as pl
from polars import col

COLUMNS = ("name", "email", "date_of_birth", "mobile_no")

SPACE = r"[\s\u{200b}\u{feff}]"
# In any case; titles and suffixes with or without a last dot, as often as they occur.
TITLE = r"(?i:mr|mrs|ms|miss|mx|mdm|madam|dr|prof|rev|sir)\.?"
SUFFIX = r"(?i:jr|sr|ii|iii|iv|md|m\.d|dds|d\.d\.s|dvm|d\.v\.m|phd|ph\.d|esq)\.?"
TITLES = rf"^(?:{TITLE}(?: |$))+"
SUFFIXES = rf"(?:(?:^|,? ){SUFFIX})+$"
# What is left has no letter, or begins like a formula.
NAMELESS = (
    rf"^{SPACE}*(?:{TITLE}(?:{SPACE}+|$))*"
    rf"(?:[=+@-].*|(?:{SUFFIX}|[^\pL]*)(?:,?{SPACE}+{SUFFIX})*{SPACE}*)$"
)
MOBILE = r"^[ -]*(?:[0-9][ -]*){8}$"
LOCAL = r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*"
LABELS = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+"
EMAIL = rf"^ *{LOCAL}@{LABELS}(?:[Cc][Oo][Mm]|[Nn][Ee][Tt]) *$"

BORN_BY = date(2004, 1, 1)  # 18 years before 2022-01-01
RULES = ("name", "mobile", "email", "date", "ambiguous_date", "birth_year", "age")  # in the order of failed_rules
NAME, MOBILE_NO, E_MAIL, DATE, AMBIGUOUS, BIRTH_YEAR, AGE = (1 << bit for bit in range(len(RULES)))  # if failed

# shape -> formats; where there are two, the batch shows which one its source uses
FORMATS = {
    "9999-99-99": ["%Y-%m-%d"],
    "9999/99/99": ["%Y/%m/%d", "%Y/%d/%m"],
    "99-99-9999": ["%m-%d-%Y", "%d-%m-%Y"],
    "99/99/9999": ["%m/%d/%Y", "%d/%m/%Y"],
}
FIRST = 10_000  # records of each file that are looked at before
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


def is_shape(shape: str) -> pl.Expr:
    """Whether a date's separators stand where this shape has them."""
    text, place = col("date_of_birth"), 4 if shape.startswith("9999") else 2
    return (text.str.len_bytes() == len(shape)) & (text.str.slice(place, 1) == shape[place])


def in_format(form: str) -> pl.Expr:
    """The date of birth in one format, null where it is in another."""
    return col("date_of_birth").str.to_date(form, strict=False, cache=False)


def proven(records: pl.LazyFrame) -> dict[str, set[str]]:
    """For each shape, the formats in which alone some record can be read; the only one of a shape needs no proof."""
    alone = {}
    for shape, formats in FORMATS.items():
        for form, *others in (formats, formats[::-1]):
            unread = [in_format(other).is_null() for other in others]
            alone[form] = pl.all_horizontal(is_shape(shape), in_format(form).is_not_null(), *unread).any()
    dates = records.select("date_of_birth").unique()
    [proofs] = dates.select(**alone).collect(engine="streaming").to_dicts()
    return {
        shape: {form for form in formats if len(formats) == 1 or proofs[form]} for shape, formats in FORMATS.items()
    }


def birth(proofs: dict[str, set[str]]) -> tuple[pl.Expr, pl.Expr]:
    """The date of birth, and whether it is ambiguous: it can be read in two ways, and the batch proves neither."""
    date_of, ambiguous = pl.lit(None, pl.Date), pl.lit(value=False)
    for shape, formats in FORMATS.items():
        if len(proofs[shape]) == 1:
            found = in_format(*proofs[shape])
        else:
            one, other = (in_format(form) for form in formats)
            found = pl.when((one == other).fill_null(value=True)).then(pl.coalesce(one, other))
            ambiguous |= is_shape(shape) & (one != other).fill_null(value=False)
        date_of = pl.when(is_shape(shape)).then(found).otherwise(date_of)
    return date_of, ambiguous


def unless(test: pl.Expr, bit: int) -> pl.Expr:
    """The rule's bit where the test is not true; null is not true."""
    return pl.when(test).then(pl.lit(0, pl.UInt8)).otherwise(pl.lit(bit, pl.UInt8))


def judge(records: pl.LazyFrame, proofs: dict[str, set[str]]) -> pl.LazyFrame:
    """Label every record with its failed rules."""
    date_of, ambiguous = birth(proofs)
    dated = records.with_columns(birth=date_of).with_columns(above_18=col("birth") <= BORN_BY)
    of_birth = unless(col("birth").dt.year().is_between(1900, 2022), BIRTH_YEAR) + unless(col("above_18"), AGE)
    without = pl.when(ambiguous).then(pl.lit(AMBIGUOUS, pl.UInt8)).otherwise(pl.lit(DATE, pl.UInt8))
    return dated.with_columns(
        failed=unless(~col("name").str.contains(NAMELESS), NAME)
        + unless(col("mobile_no").str.contains(MOBILE), MOBILE_NO)
        + unless(col("email").str.contains(EMAIL), E_MAIL)
        + pl.when(col("birth").is_null()).then(without).otherwise(of_birth)
    )


def accepted(judged: pl.LazyFrame) -> pl.LazyFrame:
    """The accepted records in the columns of the output."""
    digests: dict[str, str] = {}

    def digest(days: pl.Series) -> pl.Series:
        digests.update((day, sha256(day.encode()).hexdigest()[:5]) for day in days.unique() if day not in digests)
        return pl.Series([digests[day] for day in days], dtype=pl.String)

    spaced = col("name").str.replace_all(f"{SPACE}+", " ").str.strip_chars(" ")
    full_name = spaced.str.replace(TITLES, "").str.replace(SUFFIXES, "").str.strip_chars(" ")
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


def write(records: pl.LazyFrame, proofs: dict[str, set[str]], output: Path, *, quotes: bool) -> pl.LazyFrame:
    """Judge the records and write both outputs in one plan; returns the dates that were not read."""
    judged = judge(records, proofs)
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
    unread = judged.filter(col("birth").is_null()).select("date_of_birth")
    return pl.collect_all([unread, *sinks], engine="streaming")[0].lazy()


def main(source: Path, output: Path) -> None:
    """Run the whole job, in one plan if the first records prove all orders."""
    files = sorted(source.glob("*.csv"))
    quotes = has_quotes(files)
    records = read(files, quotes)
    first = (pl.read_csv(file, n_rows=FIRST, schema=dict.fromkeys(COLUMNS, pl.String)) for file in files)
    proofs = proven(pl.concat(first).lazy())
    if not all(len(forms) == 1 for forms in proofs.values()):
        proofs = proven(records)
    unread = proven(write(records, proofs, output, quotes=quotes))
    if any(unread[shape] - proofs[shape] for shape in FORMATS):
        write(records, proven(records), output, quotes=quotes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
