"""Judging with Spark, in this machine's cores or on a cluster: one job, one scan of the input for both outputs.

The plan is a straight line without a shuffle, so every partition keeps the order of its records:

    Range (one row per task) -> read chunks (Python) -> the judging statement (JVM) -> write lines (Python)

A task writes the lines of both outputs into part files of its own and answers with one small row per chunk; the
driver puts the parts together. Names of part files are new for each attempt, so nobody reads what a killed or
repeated task left behind.
"""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from itertools import accumulate, groupby
from typing import IO, TYPE_CHECKING

import msgspec

from batch import s3_url
from batch.errors import DataError
from section1 import judge, parts, records
from section1.engine import Judged, Work, judged
from section1.lines import Verdicts, one
from section1.records import Chunk
from section1.settings import Settings
from section1.spark_session import errors_of_spark, session

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    Batches = Iterator[pa.RecordBatch]

TASKS_PER_CORE = 4
SMALLEST_TASK = 1 << 20  # bytes; below that, starting a task costs more than its work
LARGEST_TASK = 32 << 20  # a cluster's workers may register later than the plan is made, so it knows too few cores


class Span(msgspec.Struct, frozen=True):
    """Where a chunk's lines stand in a part file."""

    offset: int
    length: int


class Verdict(msgspec.Struct):
    """What a task answers for one chunk: its place, the stem of its part files, and what they hold of it."""

    position: int
    part: str
    failed: dict[int, int]
    accepted: Span
    rejected: Span
    origins: list[tuple[str, int]]


def judging(settings: Settings, work: Work, chunks: list[Chunk]) -> Generator[Judged]:
    """Verdicts in the order of the chunks. Raises EngineError when Java is missing or Spark fails."""
    if not chunks:
        return
    with session(settings, sum(chunk.length for chunk in chunks)) as spark:
        chunks = _seen_by_workers(work, chunks)
        with errors_of_spark():
            answers = [row[0] for row in plan(spark, settings, work, chunks).collect()]
        verdicts = [msgspec.msgpack.decode(answer, type=Verdict) for answer in answers]
        if [verdict.position for verdict in verdicts] != list(range(len(chunks))):
            raise DataError("Spark's answers do not match the chunks of the input", hint="Nothing was published.")
        yield from _collected(work, chunks, verdicts)


def _seen_by_workers(work: Work, chunks: list[Chunk]) -> list[Chunk]:
    """The chunks, those of files that only the driver sees from copies in the store."""
    if not s3_url.is_url(work.folder):
        return chunks
    copies: dict[str, tuple[str, str]] = {}
    for path in {chunk.path for chunk in chunks if not s3_url.is_url(chunk.path)}:
        copies[path] = parts.shared(work.folder, path)
    return [
        msgspec.structs.replace(chunk, path=copies[chunk.path][0], etag=copies[chunk.path][1])
        if chunk.path in copies
        else chunk
        for chunk in chunks
    ]


def plan(spark: SparkSession, settings: Settings, work: Work, chunks: list[Chunk]) -> DataFrame:
    """The whole run as one data frame; its rows are encoded Verdicts in the order of the chunks."""
    groups = grouped(chunks, spark.sparkContext.defaultParallelism)
    columns = judge.schema(settings)
    schema = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    tasks = spark.range(0, len(groups), 1, len(groups))
    tasks.mapInArrow(_reader(work, chunks, groups, list(columns)), schema).createOrReplaceTempView(work.view)
    return spark.sql(work.statement.spark).mapInArrow(_writer(work, chunks, groups), "verdict binary")


def grouped(chunks: list[Chunk], cores: int) -> list[range]:
    """Neighbouring chunks that one task judges, as positions: several tasks per core, none of them tiny."""
    share = sum(chunk.length for chunk in chunks) // (cores * TASKS_PER_CORE)
    limit = min(max(SMALLEST_TASK, share), LARGEST_TASK)
    groups: list[range] = []
    size = 0
    for position, chunk in enumerate(chunks):
        if not groups or size + chunk.length > limit:
            groups.append(range(position, position))
            size = 0
        groups[-1] = range(groups[-1].start, position + 1)
        size += chunk.length
    return groups


def _reader(work: Work, chunks: list[Chunk], groups: list[range], columns: list[str]) -> Callable[[Batches], Batches]:
    """For the workers: a task's number becomes the records of its chunks."""

    def read(batches: Batches) -> Batches:
        import pyarrow as pa

        for batch in batches:
            for task in batch["id"].to_pylist():
                for position in groups[task]:
                    chunk = chunks[position]
                    table = records.read(chunk, work.layout)
                    dated, _ = work.dated(chunk, table)
                    for places, known in dated.values():
                        for name in known.column_names:
                            table = table.append_column(name, known[name].take(pa.array(places)))
                    yield from plain(table.select(columns)).to_batches()

    return read


def plain(table: pa.Table) -> pa.Table:
    """The table without dictionaries, which Spark does not read."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            decoded = [part.dictionary_decode() for part in table[place].chunks]
            table = table.set_column(place, field.name, pa.chunked_array(decoded, field.type.value_type))
    return table


def _writer(work: Work, chunks: list[Chunk], groups: list[range]) -> Callable[[Batches], Batches]:
    """For the workers: the lines of a task's records go into part files, the verdicts on its chunks come back."""

    def write(batches: Batches) -> Batches:
        import pyarrow as pa
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None, "this runs in Spark's workers"
        group = groups[context.partitionId()]
        verdicts = written(work, group.start, chunks[group.start : group.stop], batches)
        answers = [msgspec.msgpack.encode(verdict) for verdict in verdicts]
        yield pa.RecordBatch.from_pydict({"verdict": pa.array(answers, pa.binary())})

    return write


def written(work: Work, first: int, chunks: list[Chunk], batches: Iterable[pa.RecordBatch]) -> list[Verdict]:
    """Write the lines of a group's records into part files; `first` is the position of its first chunk.

    Spark cuts batches as it likes: chunks are found by count.

    Raises ValueError for records that come in another order than they were read.
    """
    ends = list(accumulate(chunk.records for chunk in chunks))
    part = uuid.uuid4().hex
    verdicts = [
        Verdict(position, part, {}, Span(0, 0), Span(0, 0), []) for position in range(first, first + len(chunks))
    ]
    with ExitStack() as stack:
        accepted, rejected = (stack.enter_context(parts.written(work.folder, name)) for name in _part_files(part))
        row = 0
        for batch in batches:
            left = batch
            while left.num_rows:
                place = min(bisect_right(ends, row), len(ends) - 1)
                last = place == len(ends) - 1
                some = left if last else left.slice(0, ends[place] - row)
                _check_order(work, chunks[place], some, row - ends[place] + chunks[place].records)
                _write(verdicts[place], work, chunks[place], some, accepted, rejected)
                row += some.num_rows
                left = left.slice(some.num_rows)
    return verdicts


def _check_order(work: Work, chunk: Chunk, batch: pa.RecordBatch, before: int) -> None:
    """Refuse records of another file, or with falling numbers. `before` records of the chunk came earlier."""
    import numpy as np

    if work.layout.carried:
        return
    numbers = batch["record_number"].to_numpy()
    first, sources = chunk.first_record + before, batch["source_file"]
    in_order = numbers[0] >= first and bool((np.diff(numbers) > 0).all())
    if not in_order or {sources[0].as_py(), sources[-1].as_py()} != {chunk.source_file}:
        raise ValueError("the records came in another order than they were read")


def _write(
    verdict: Verdict, work: Work, chunk: Chunk, batch: pa.RecordBatch, accepted: IO[bytes], rejected: IO[bytes]
) -> None:
    """Append a part of a chunk to the part files and count it into the chunk's verdict."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    fields = [
        [one(table[f"{kind}_{n}"]).drop_null() for n in range(count)]
        for kind, count in (("accepted", len(work.statement.accepted)), ("rejected", len(work.statement.rejected)))
    ]
    some = judged(work, chunk, table, Verdicts(one(table["failed"]).to_numpy(), *fields), {}, b"")
    for bits, rows in some.failed.items():
        verdict.failed[bits] = verdict.failed.get(bits, 0) + rows
    verdict.accepted = _append(accepted, some.accepted, verdict.accepted)
    verdict.rejected = _append(rejected, some.rejected, verdict.rejected)
    verdict.origins += some.origins


def _append(file: IO[bytes], blocks: Iterable[memoryview], span: Span) -> Span:
    length = sum(file.write(block) for block in blocks)
    return Span(span.offset if span.length else file.tell() - length, span.length + length)


def _part_files(part: str) -> tuple[str, str]:
    return f"{part}.accepted", f"{part}.rejected"


def _collected(work: Work, chunks: list[Chunk], verdicts: list[Verdict]) -> Iterator[Judged]:
    """The verdicts with their lines from the part files, which are removed once they are read."""
    for part, group in groupby(verdicts, key=lambda verdict: verdict.part):
        good, bad = _part_files(part)
        with parts.collected(work.folder, good) as accepted, parts.collected(work.folder, bad) as rejected:
            for verdict in group:
                yield Judged(
                    chunks[verdict.position],
                    verdict.failed,
                    parts.blocks(accepted, good, verdict.accepted.offset, verdict.accepted.length),
                    parts.blocks(rejected, bad, verdict.rejected.offset, verdict.rejected.length),
                    verdict.origins,
                    {},
                )
