"""Judging with Spark, in this machine's cores or on a cluster: one job, one scan of the input for both outputs.

The plan is a straight line without a shuffle, so every partition keeps the order of its records:

    Range (one row per task) -> read chunks (Python) -> the judging statement (JVM) -> write lines (Python)

A row takes long on its way into the JVM and out again. So the statement gets no column that it does not name, gives
no column that is in the input, and both steps in Python read the input for themselves.

A task writes the lines of both outputs into part files of its own and answers with one small row per chunk; the
driver puts the parts together. Names of part files are new for each attempt, so nobody reads what a killed or
repeated task left behind.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import groupby
from typing import IO, TYPE_CHECKING

import msgspec

from batch import imports, s3_url
from batch.errors import DataError
from section1 import judge, parts, records
from section1.engine import Columns, Judged, Work, judged
from section1.judge import Statement
from section1.lines import Verdicts, one
from section1.records import Chunk
from section1.settings import Settings
from section1.spark_errors import errors_of_spark
from section1.spark_session import session

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    Batches = Iterator[pa.RecordBatch]

TASKS_PER_CORE = 4
SMALLEST_TASK = 1 << 20  # bytes; below that, starting a task costs more than its work
DISORDER = "the records came in another order than they were read"
CHUNK = 32 << 10  # bytes that take as long as what a chunk costs however short it is
LARGEST_TASK = 20 << 20  # a cluster's workers may register later than the plan is made, so it knows too few cores


class Span(msgspec.Struct, frozen=True):
    """Where a chunk's lines stand in a part file."""

    offset: int
    length: int


class Verdict(msgspec.Struct):
    """What a task answers for one chunk: its place, the stem of its part files, and what they hold of it.

    The values that should be unique stand in the file of the accepted lines.
    """

    position: int
    part: str
    failed: dict[int, int]
    accepted: Span
    rejected: Span
    unique: Span
    origins: list[tuple[str, int]]


def judging(settings: Settings, work: Work, size: int, take_in: Callable[[], list[Chunk]]) -> Generator[Judged]:
    """Verdicts in the order of the chunks, which are taken in while Spark starts. `size` is that of all in bytes.

    Raises EngineError when Java is missing or Spark fails.
    """
    chunks: list[Chunk] = []
    with session(settings, size, lambda: chunks.extend(take_in())) as spark:
        if not chunks:
            return
        seen = _seen_by_workers(work, chunks)
        with errors_of_spark():
            answers = [row[0] for row in plan(spark, settings, work, seen).collect()]
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
    kinds = judge.schema(settings)
    columns = work.statement.spark_columns
    schema = ", ".join(f"`{name}` {kinds.get(name, judge.BOOLEAN)}" for name in columns)
    tasks = spark.range(0, len(groups), 1, len(groups))
    tasks.mapInArrow(_reader(work, chunks, groups), schema).createOrReplaceTempView(work.view)
    return spark.sql(work.statement.spark).mapInArrow(_writer(work, chunks, groups), "verdict binary")


def grouped(chunks: list[Chunk], cores: int) -> list[range]:
    """Neighbouring chunks that one task judges, as positions: several tasks per core, none of them tiny."""
    share = sum(chunk.length + CHUNK for chunk in chunks) // (cores * TASKS_PER_CORE)
    limit = min(max(SMALLEST_TASK, share), LARGEST_TASK)
    groups: list[range] = []
    size = 0
    for position, chunk in enumerate(chunks):
        if not groups or size + chunk.length + CHUNK > limit:
            groups.append(range(position, position))
            size = 0
        groups[-1] = range(groups[-1].start, position + 1)
        size += chunk.length + CHUNK
    return groups


def _reader(work: Work, chunks: list[Chunk], groups: list[range]) -> Callable[[Batches], Batches]:
    """For the workers: a task's number becomes what the statement needs of the records of its chunks."""
    names = work.statement.spark_columns
    matches = work.statement.parts.matches

    def read(batches: Batches) -> Batches:
        _without_pandas()
        for batch in batches:
            for task in batch["id"].to_pylist():
                for position in groups[task]:
                    chunk = chunks[position]
                    table = records.read(chunk, work.layout)
                    dated, _ = work.dated(chunk, table)
                    columns = Columns(table, dated.values(), matches)
                    yield from plain(columns.table(names)).to_batches()

    return read


@cache
def _without_pandas() -> None:
    """Keep pyarrow from importing pandas, as it does where that is installed: 0.2 s for nothing in each worker."""
    imports.refuse("pandas")


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

        _without_pandas()
        context = TaskContext.get()
        assert context is not None, "this runs in Spark's workers"
        group = groups[context.partitionId()]
        verdicts = written(work, group.start, chunks[group.start : group.stop], batches)
        answers = [msgspec.msgpack.encode(verdict) for verdict in verdicts]
        yield pa.RecordBatch.from_pydict({"verdict": pa.array(answers, pa.binary())})

    return write


def written(work: Work, first: int, chunks: list[Chunk], batches: Iterable[pa.RecordBatch]) -> list[Verdict]:
    """Write the lines of a group's records into part files; `first` is the position of its first chunk.

    Raises ValueError for verdicts that come in another order than the records were read.
    """
    part = uuid.uuid4().hex
    verdicts = []
    with ExitStack() as stack:
        accepted, rejected = (stack.enter_context(parts.written(work.folder, name)) for name in _part_files(part))
        for position, (chunk, labels) in enumerate(_by_chunk(chunks, batches), first):
            text = records.load(chunk)
            table = records.parsed(chunk, work.layout, text)
            if not table["record_number"].equals(labels["record_number"]):
                raise ValueError(DISORDER)
            some = judged(work, chunk, table, _verdicts(work.statement, labels), {}, text if chunk.plain else b"")
            spans = _append(accepted, some.accepted), _append(rejected, some.rejected), _append(accepted, some.unique)
            verdicts.append(Verdict(position, part, some.failed, *spans, some.origins))
    return verdicts


def _by_chunk(chunks: list[Chunk], batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Chunk, pa.Table]]:
    """What Spark says of each chunk; it cuts batches as it likes, so chunks are found by count."""
    import pyarrow as pa

    coming = iter(batches)
    held: list[pa.RecordBatch] = []
    for chunk in chunks:
        while sum(batch.num_rows for batch in held) < chunk.records:
            if (batch := next(coming, None)) is None:
                raise ValueError(DISORDER)
            held.append(batch)
        table = pa.Table.from_batches(held)
        yield chunk, table.slice(0, chunk.records)
        held = table.slice(chunk.records).to_batches()
    if any(batch.num_rows for batch in (*held, *coming)):
        raise ValueError(DISORDER)


def _verdicts(statement: Statement, labels: pa.Table) -> Verdicts:
    """What Spark says of a chunk: the fields are null in rows that belong to the other output."""
    accepted, rejected = (
        [one(labels[f"{kind}_{n}"]).drop_null() for n in range(len(names))]
        for kind, names in (("accepted", statement.accepted), ("rejected", statement.rejected))
    )
    return Verdicts(one(labels["failed"]).to_numpy(), accepted, rejected)


def _append(file: IO[bytes], blocks: Iterable[memoryview]) -> Span:
    offset = file.tell()
    return Span(offset, sum(file.write(block) for block in blocks))


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
                    parts.blocks(accepted, good, verdict.unique.offset, verdict.unique.length),
                    verdict.origins,
                    {},
                )
