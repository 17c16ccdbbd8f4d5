"""The membership job in the form of the submission that this project grew from, written anew from its description.

    python membership_spark_seed.py INPUT_DIR OUTPUT_DIR

A YAML job names an input view, parameters and two targets, each with a SQL template. A target is a pass of its own:
it reads the CSVs again, runs its query and overwrites a folder of CSV part files. Its defects are kept, as they are
part of that form, and therefore its counts are not the right ones:

- a date is tried as dd/MM/yyyy before MM/dd/yyyy;
- only titles with a dot are taken off, and the last name is the second word;
- the e-mail pattern has no ends and any character for its last dot; letter case counts;
- a mobile is eight characters, digits or not;
- a failure is the negation of a success, and the negation of null is null: such a row is in neither output;
- failures carry no reason, no file and no record number.

Spark's own defaults but for three settings: ANSI off, without which `to_date` fails at the first other format, the
log's level and no progress bar.
"""

import os
import sys
from pathlib import Path

import yaml

JOB = r"""
spark:
  spark.sql.ansi.enabled: "false"
  spark.log.level: ERROR
  spark.ui.showConsoleProgress: "false"
input:
  view: application
  options: {header: "true"}
parameters:
  as_of: 2022-01-01
  months: "216"
common: |
  with cleaned as (
    select
      split(regexp_replace(name, '^(Mr|Mrs|Ms|Miss|Dr)[.] +', ''), ' ') as words,
      email,
      coalesce(
        to_date(date_of_birth, 'yyyy-MM-dd'),
        to_date(date_of_birth, 'yyyy/MM/dd'),
        to_date(date_of_birth, 'dd-MM-yyyy'),
        to_date(date_of_birth, 'dd/MM/yyyy'),
        to_date(date_of_birth, 'MM/dd/yyyy')
      ) as birth,
      regexp_replace(mobile_no, '[- ]', '') as mobile_no
    from application
  ),
  application_checked as (
    select
      words[0] as first_name,
      words[1] as last_name,
      date_format(birth, 'yyyyMMdd') as date_of_birth,
      mobile_no,
      email,
      add_months(birth, {months}) <= date '{as_of}' as above_18,
      length(mobile_no) = 8 as has_mobile,
      email rlike '[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+.(com|net)' as has_email,
      words[0] is not null as has_name
    from cleaned
  )
targets:
  successful_application: |
    select
      first_name, last_name, date_of_birth, mobile_no, email, above_18,
      concat(coalesce(last_name, ''), '_', substring(sha2(date_of_birth, 256), 1, 5)) as membership_id
    from application_checked
    where has_name and has_mobile and has_email and above_18
  unsuccessful_application: |
    select first_name, last_name, date_of_birth, mobile_no, email
    from application_checked
    where not has_name or not has_mobile or not has_email or not above_18
"""


def main(source: Path, output: Path) -> None:
    """Run the two passes and print how many rows each has written."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark.sql import SparkSession

    job = yaml.safe_load(JOB)
    builder = SparkSession.builder.appName("membership")
    for name, value in job["spark"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    for folder, query in job["targets"].items():
        records = spark.read.options(**job["input"]["options"]).csv(f"{source.resolve()}/*.csv")
        records.createOrReplaceTempView(job["input"]["view"])
        checked = spark.sql((job["common"] + query).format(**job["parameters"]))
        checked.write.mode("overwrite").option("header", "true").csv(str((output / folder).resolve()))
    spark.stop()
    counts = {folder: sum(map(data_lines, (output / folder).glob("*.csv"))) for folder in job["targets"]}
    print(", ".join(f"{count} in {folder}" for folder, count in counts.items()))


def data_lines(part: Path) -> int:
    """Lines of a part file without its header."""
    with part.open("rb") as file:
        return max(sum(1 for _ in file) - 1, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
