"""Let Java write an archive of the classes that Spark loads (AppCDS): spark_archive.py FILE.

Runs a job of the shape of section 1's: rows from Python, SQL, rows to Python. It imports nothing of the product, so
that the archive is made anew when the packages change, and not with every change of the code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

SETTINGS = {
    "spark.master": "local[2]",
    "spark.app.name": "archive",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.catalogImplementation": "in-memory",
}
QUERY = r"""
with cleaned as (
  select *, name rlike '[^ -~]|  ' as is_untidy, replace(replace(mobile, ' ', ''), '-', '') as digits from rows
),
named as (
  select *, case when is_untidy then trim(regexp_replace(name, '^((Mr|Dr)[.]? )+', '')) else name end as full_name
  from cleaned
),
judged as (
  select
    *,
    birth <= add_months(date '2022-01-01', -12 * 18) as adult,
    if(coalesce(length(digits) = 8 and not digits rlike '[^0-9]', false), 0, 1)
      + if(coalesce(year(birth) between 1900 and 2022, false), 0, 2) as failed
  from named
)
select
  failed, source, number,
  case when failed = 0 then concat_ws(',', split_part(full_name, ' ', 1),
    substr(full_name, instr(full_name, ' ') + 1), substr(sha2(full_name, 256), 1, 5),
    cast(adult as string)) end as good,
  case when failed <> 0 then concat(name, ',', cast(number as string), ',', coalesce(cast(adult as string), ''),
    if(contains(name, '"'), concat('"', replace(name, '"', '""'), '"'), name)) end as bad
from judged
"""


def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Some rows for each row."""
    for batch in batches:
        numbers = pa.array(range(1000 * batch.num_rows), pa.int64())
        texts = pa.array([f"Dr. Jane  Doe {n}" for n in range(len(numbers))])
        days = pa.array(range(len(numbers)), pa.int32()).cast(pa.date32())
        yield pa.RecordBatch.from_arrays(
            [texts, texts, days, texts, numbers], ["name", "mobile", "birth", "source", "number"]
        )


def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One row for all rows."""
    rows = sum(batch.num_rows for batch in batches)
    yield pa.RecordBatch.from_pydict({"verdict": pa.array([str(rows).encode()], pa.binary())})


def main() -> None:
    """Run the job in a Java that writes the archive when it ends."""
    os.environ["SPARK_SUBMIT_OPTS"] = (
        f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ArchiveClassesAtExit={sys.argv[1]} "
        "-Xlog:cds=error -Xlog:cds+dynamic=error"
    )
    os.environ["PYSPARK_PYTHON"] = sys.executable
    conf = SparkConf(loadDefaults=False).setAll(list(SETTINGS.items()))
    gateway = launch_gateway(conf)  # type: ignore[no-untyped-call]
    spark = SparkSession(SparkContext(conf=conf, gateway=gateway))
    schema = "name string, mobile string, birth date, source string, number bigint"
    spark.range(0, 4, 1, 4).mapInArrow(read, schema).createOrReplaceTempView("rows")
    for compiled in ("true", "false"):  # large inputs, and tiny ones
        spark.conf.set("spark.sql.codegen.wholeStage", compiled)
        answers = spark.sql(QUERY).mapInArrow(write, "verdict binary").collect()
        assert sum(int(row[0]) for row in answers) == 4000, answers
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(timeout=300)
    print(f"{sys.argv[1]}: {os.path.getsize(sys.argv[1]) >> 20} MB")


if __name__ == "__main__":
    main()
