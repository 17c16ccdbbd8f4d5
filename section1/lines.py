"""The lines of both outputs (RFC 4180), made column by column without a loop over rows.

A field is in quotes only where it has to be, so most columns are seen as clean at one glance and joined as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from section1.judge import Statement
from section1.records import Buffer, Chunk, Layout
from section1.settings import FAILED_RULES

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Ints = np.ndarray[Any, np.dtype[Any]]
    Piece = tuple[pa.StringArray, Ints | int]  # texts, and the place of each line's among them

BLOCK = 1 << 14  # lines made together: more would take more memory and as long
FEW = 1 << 10  # texts that are made for all combinations of what they are made of
SPECIAL = (b'"', b",", b"\n", b"\r")  # what a field may only have in quotes


class Verdicts(NamedTuple):
    """The bits of the rules that each record failed; the fields as text, of those that failed none, of the others."""

    failed: Ints
    accepted: list[pa.StringArray]
    rejected: list[pa.StringArray]


def accepted_header(statement: Statement) -> bytes:
    """The first line of the successful file."""
    return (",".join(statement.accepted) + "\n").encode()


def rejected_header(statement: Statement, layout: Layout) -> bytes:
    """The first line of the unsuccessful file."""
    names = (*layout.columns, "source_file", "record_number", *statement.rejected, FAILED_RULES)
    return (",".join(names) + "\n").encode()


def accepted(fields: list[pa.StringArray]) -> list[memoryview]:
    """The lines of the accepted rows."""
    return _joined(len(fields[0]), [*_fields(fields)[1:], (_texts("\n"), 0)])


def rejected(
    chunk: Chunk, layout: Layout, records: pa.Table, verdicts: Verdicts, statement: Statement, text: Buffer
) -> list[memoryview]:
    """The lines of the rejected rows: the original fields, then where they came from and what they failed.

    `text` is what the file has of these records where that is plain, else it is empty. Where the fields stand in it as
    they are published, they are cut out of it line by line.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = np.flatnonzero(verdicts.failed).astype(np.int32)
    if not len(rows):
        return []
    originals = _cut_out(chunk, layout, records, rows, text)
    originals = originals or _fields((one(records[name]) for name in layout.columns), rows)[1:]
    if layout.carried:
        origin = _fields([one(records["source_file"]), one(records["record_number"]).cast(pa.string())], rows)
    else:
        origin = _origin(chunk.source_file, one(records["record_number"]).to_numpy().take(rows))
    combinations = pc.dictionary_encode(pa.array(verdicts.failed.take(rows)))
    ends = [";".join(statement.failed_rules(bits)) + "\n" for bits in combinations.dictionary.to_pylist()]
    chosen, fields = combinations.indices.to_numpy(), list(verdicts.rejected)
    while fields and isinstance(last := fields[-1], pa.DictionaryArray) and len(last.dictionary) * len(ends) < FEW:
        chosen = last.indices.to_numpy() * len(ends) + chosen
        ends = [f"{text},{end}" for text in _field(last.dictionary).to_pylist() for end in ends]
        fields.pop()
    return _joined(len(rows), [*originals, *origin, *_fields(fields), (_texts(*(f",{end}" for end in ends)), chosen)])


def _cut_out(chunk: Chunk, layout: Layout, records: pa.Table, rows: Ints, text: Buffer) -> list[Piece]:
    """The lines of these rows, without their line ends, where the lengths of all fields prove that lines are these.

    They do when the text has no quotes and ends in a line end: then each field is followed by at least one byte, and if
    they are no more in all, by exactly one.
    """
    import numpy as np
    import pyarrow as pa

    if text[-1:] not in (b"\n", b"\r") or chunk.header != layout.columns:
        return []
    starts = np.zeros(2 * records.num_rows + 1, np.int32)
    lengths = sum(np.diff(_offsets(one(records[name]))) for name in layout.columns) + len(layout.columns)
    np.cumsum(lengths, out=starts[2::2])
    if starts[-1] != len(text):
        return []
    np.subtract(starts[2::2], 1, out=starts[1::2])
    lines_and_ends = pa.StringArray.from_buffers(2 * records.num_rows, pa.py_buffer(starts), pa.py_buffer(text))
    return [(lines_and_ends, 2 * rows)]


def _origin(source_file: str, numbers: Ints) -> list[Piece]:
    """Where records of one file came from, as two fields; their numbers ascend, so they have few thousands."""
    import numpy as np

    first, last = int(numbers[0]) // 1000, int(numbers[-1]) // 1000
    file = _text(source_file)
    within = (numbers - 1000 * first).astype(np.int32)
    thousands = within // 1000
    rest = within - 1000 * thousands
    heads = (f",{file},{number or ''}" for number in range(first, last + 1))
    return [(_texts(*heads), thousands), (_below_1000(), rest + 1000 * (thousands > -first))]


@cache
def _below_1000() -> pa.StringArray:
    """The numbers below 1000, then again with leading zeros, as they stand in larger ones."""
    return _texts(*map(str, range(1000)), *(f"{number:03}" for number in range(1000)))


def _texts(*texts: str) -> pa.StringArray:
    import pyarrow as pa

    return pa.array(texts, pa.string())


def _fields(columns: Iterable[pa.StringArray | pa.DictionaryArray], rows: Ints | None = None) -> list[Piece]:
    """A comma and a field of each column; lines are of all its rows, or of some."""
    import numpy as np

    pieces: list[Piece] = []
    for texts in map(_field, columns):
        pieces += [(_texts(","), 0), (texts, np.arange(len(texts), dtype=np.int32) if rows is None else rows)]
    return pieces


def _joined(count: int, pieces: list[Piece]) -> list[memoryview]:
    """So many lines, each of one text of each piece.

    Texts that are taken in this order stand in memory one after the other. That takes half as long as to join them.
    """
    import numpy as np
    import pyarrow as pa

    places = np.empty((count, len(pieces)), np.int32)
    before = 0
    for place, (texts, chosen) in enumerate(pieces):
        np.add(chosen, before, out=places[:, place], casting="same_kind")
        before += len(texts)
    texts = pa.concat_arrays([texts for texts, _ in pieces])
    blocks = []
    for first in range(0, count, BLOCK):
        lines = texts.take(pa.array(places[first : first + BLOCK].ravel()))
        blocks.append(memoryview(lines.buffers()[2])[: _offsets(lines)[-1]])
    return blocks


def _field(texts: pa.StringArray | pa.DictionaryArray) -> pa.StringArray:
    """Texts as CSV fields."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(texts, pa.DictionaryArray):
        texts = texts.dictionary_decode()
    offsets, text = _offsets(texts), texts.buffers()[2]
    if text is None or not len(texts):
        return texts
    seen = text[offsets[0] : offsets[-1]].to_pybytes()
    if not any(character in seen for character in SPECIAL):
        return texts
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, '[",\r\n]'), quoted, texts)


def _text(text: str) -> str:
    """One text as a CSV field."""
    return '"' + text.replace('"', '""') + '"' if any(sign.decode() in text for sign in SPECIAL) else text


def _offsets(texts: pa.StringArray) -> Ints:
    """Where each text begins, and the last one ends."""
    import numpy as np

    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]


def one(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
