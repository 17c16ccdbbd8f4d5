"""The membership job as a competent engineer writes it by hand in an afternoon with DuckDB.

    python membership_duckdb.py INPUT_DIR OUTPUT_DIR

Reads every CSV of the folder into a table, labels each record with its failed rules, writes the two outputs.
"""

import sys
from pathlib import Path

import duckdb

SPACE = r"[\s\x0b\x{85}\x{a0}\x{1680}\x{2000}-\x{200b}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]"
# Matched in any case; titles and suffixes with or without a last dot, as often as they occur.
TITLE = r"^((mr|mrs|ms|miss|mx|mdm|madam|dr|prof|rev|sir)\.?( |$))+"
SUFFIX = r"((^|,? )(jr|sr|ii|iii|iv|md|m\.d|dds|d\.d\.s|dvm|d\.v\.m|phd|ph\.d|esq)\.?)+$"
NAME = r"^([^=+@-].*)?\pL"  # what begins like a formula is none
EMAIL = r"[a-z0-9_%+-]+(\.[a-z0-9_%+-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+(com|net)"

# shape of the text -> formats; where there are two, the batch shows which one its source uses
DATE_FORMATS = {
    "____-__-__": ["%Y-%m-%d"],
    "____/__/__": ["%Y/%m/%d", "%Y/%d/%m"],
    "__-__-____": ["%m-%d-%Y", "%d-%m-%Y"],
    "__/__/____": ["%m/%d/%Y", "%d/%m/%Y"],
}

# A record fails a rule whose condition is not true, so NULL fails too. The order is that of `failed_rules`.
RULES = {
    "name": f"regexp_matches(full_name, '{NAME}')",
    "mobile": r"regexp_full_match(mobile_digits, '[0-9]{8}')",
    "email": f"regexp_full_match(address, '{EMAIL}', 'i')",
    "date": "birth is not null or is_ambiguous",
    "ambiguous_date": "not is_ambiguous",
    "birth_year": "birth is null or year(birth) between 1900 and 2022",
    "age": "birth is null or above_18",
}

# output column -> expression, in the order of the columns
ACCEPTED = {
    "first_name": "nullif(left(full_name, greatest(strpos(full_name, ' ') - 1, 0)), '')",
    "last_name": "substr(full_name, strpos(full_name, ' ') + 1)",
    "date_of_birth": "strftime(birth, '%Y%m%d')",
    "mobile_no": "mobile_digits",
    "email": "address",
    "above_18": "above_18",
    "membership_id": "concat(last_name, '_', substr(sha256(strftime(birth, '%Y%m%d')), 1, 5))",
}
REJECTED = {
    "name": "name",
    "email": "email",
    "date_of_birth": "date_of_birth",
    "mobile_no": "mobile_no",
    "source_file": "source_file",
    "record_number": "record_number",
    "above_18": "above_18",
    "failed_rules": "failed_rules",
}


def load(con: duckdb.DuckDBPyConnection, source: Path) -> None:
    """Read every CSV in `source` into the table `raw`; records are numbered from 1 in each file."""
    con.execute(
        "create temp table raw (name text, email text, date_of_birth text, mobile_no text,"
        " source_file text, record_number bigint)"
    )
    for file in sorted(source.glob("*.csv")):
        con.execute(
            "insert into raw select name, email, date_of_birth, mobile_no, $name, row_number() over ()"
            " from read_csv($path, header = true, all_varchar = true)",
            {"name": file.name, "path": str(file)},
        )


def birth_dates(con: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    """The date of birth in SQL, and when it is ambiguous: it can be read in two ways, and the batch proves neither."""
    con.execute("create temp table dates as select distinct date_of_birth from raw")
    dates, ambiguous = [], ["false"]
    for shape, formats in DATE_FORMATS.items():
        is_shape = f"date_of_birth like '{shape}'"
        if len(formats) == 2:
            one, other = (f"try_strptime(date_of_birth, '{form}')" for form in formats)
            [(first, second)] = con.execute(
                f"select count(*) filter ({other} is null), count(*) filter ({one} is null) from dates"
                f" where {is_shape} and ({one} is not null or {other} is not null)"
            ).fetchall()
            if bool(first) == bool(second):
                ambiguous.append(f"{is_shape} and {one} <> {other}")
        in_order = formats if len(formats) == 1 or first else formats[::-1]
        dates.append(f"when {is_shape} then try_strptime(date_of_birth, {in_order})::date")
    is_ambiguous = " or ".join(ambiguous)
    return f"case when {is_ambiguous} then null {' '.join(dates)} end", f"coalesce({is_ambiguous}, false)"


def judge(con: duckdb.DuckDBPyConnection) -> None:
    """Label every record of `raw` with its failed rules in the table `judged`."""
    birth, is_ambiguous = birth_dates(con)
    failed = ", ".join(f"case when ({test}) is not true then '{rule}' end" for rule, test in RULES.items())
    con.execute(f"""
        create temp table judged as
        with cleaned as (
            select *,
                trim(regexp_replace(name, '{SPACE}+', ' ', 'g')) as spaced,
                regexp_replace(spaced, '{TITLE}', '', 'i') as untitled,
                trim(regexp_replace(untitled, '{SUFFIX}', '', 'i')) as full_name,
                trim(email) as address,
                replace(replace(mobile_no, ' ', ''), '-', '') as mobile_digits,
                {birth} as birth,
                {is_ambiguous} as is_ambiguous
            from raw
        ),
        aged as (select *, birth + interval 18 year <= date '2022-01-01' as above_18 from cleaned)
        select *, concat_ws(';', {failed}) as failed_rules from aged
    """)


def write(con: duckdb.DuckDBPyConnection, columns: dict[str, str], condition: str, folder: Path) -> int:
    """Write the records of `judged` that meet `condition` to a CSV in `folder`; returns how many they are."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = ", ".join(f"{expression} as {name}" for name, expression in columns.items())
    query = f"select {chosen} from judged where {condition}"
    copied = con.execute(f"copy ({query}) to '{folder}/applications.csv' (format csv, header true)")
    [(count,)] = copied.fetchall()
    return int(count)


def main(source: Path, output: Path) -> None:
    """Run the whole job in an in-memory database and print the two counts."""
    con = duckdb.connect()
    load(con, source)
    judge(con)
    accepted = write(con, ACCEPTED, "failed_rules = ''", output / "successful_application")
    rejected = write(con, REJECTED, "failed_rules <> ''", output / "unsuccessful_application")
    print(f"{accepted} accepted, {rejected} rejected")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
