"""The lines of both outputs (RFC 4180), made column by column without a loop over rows.

A field is in quotes only where it has to be, so most columns are seen as clean at one glance and joined as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from section1.judge import Statement
from section1.records import Chunk, Layout
from section1.settings import FAILED_RULES

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Ints = np.ndarray[Any, np.dtype[Any]]

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
    import pyarrow.compute as pc

    *columns, last = map(_field, fields)
    return _joined(*columns, pc.binary_join_element_wise(last, "\n", ""))


def rejected(
    chunk: Chunk, layout: Layout, records: pa.Table, verdicts: Verdicts, statement: Statement, text: bytes
) -> list[memoryview]:
    """The lines of the rejected rows: the original fields, then where they came from and what they failed.

    `text` is what the file has of these records where that is plain, else it is empty. Where the fields stand in it as
    they are published, they are cut out of it line by line.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = np.flatnonzero(verdicts.failed)
    places = pa.array(rows)
    originals = _cut_out(chunk, layout, records, rows, text) or [
        _field(one(records[name].take(places))) for name in layout.columns
    ]
    source = _field(one(records["source_file"].take(places))) if layout.carried else _text(chunk.source_file)
    number = one(records["record_number"].take(places)).cast(pa.string())
    combinations = pc.dictionary_encode(pa.array(verdicts.failed[rows]))
    ends = [";".join(statement.failed_rules(bits)) + "\n" for bits in combinations.dictionary.to_pylist()]
    indices, fields = combinations.indices.to_numpy(), list(verdicts.rejected)
    while fields and isinstance(last := fields[-1], pa.DictionaryArray) and len(last.dictionary) * len(ends) < FEW:
        indices = last.indices.to_numpy() * len(ends) + indices  # to join fields costs more than to look their text up
        ends = [f"{text},{end}" for text in _field(last.dictionary).to_pylist() for end in ends]
        fields.pop()
    return _joined(
        *originals, source, number, *map(_field, fields), pa.array(ends, pa.string()).take(pa.array(indices))
    )


def _cut_out(chunk: Chunk, layout: Layout, records: pa.Table, rows: Ints, text: bytes) -> list[pa.StringArray]:
    """The lines of these rows, without their line ends, where the lengths of all fields prove that lines are these.

    They do when the text has no quotes and ends in a line end: then each field is followed by at least one byte, and if
    they are no more in all, by exactly one.
    """
    import numpy as np
    import pyarrow as pa

    if not text.endswith((b"\n", b"\r")) or chunk.header != layout.columns:
        return []
    starts = np.zeros(2 * records.num_rows + 1, np.int32)
    lengths = sum(np.diff(_offsets(one(records[name]))) for name in layout.columns) + len(layout.columns)
    np.cumsum(lengths, out=starts[2::2])
    if starts[-1] != len(text):
        return []
    np.subtract(starts[2::2], 1, out=starts[1::2])
    lines_and_ends = pa.StringArray.from_buffers(2 * records.num_rows, pa.py_buffer(starts), pa.py_buffer(text))
    return [lines_and_ends.take(pa.array(2 * rows))]


def _joined(*fields: pa.StringArray | str) -> list[memoryview]:
    """Lines of fields, of which the last one ends in a line feed; each text stands for itself in every line."""
    import pyarrow.compute as pc

    lines = pc.binary_join_element_wise(*fields, ",")
    text = lines.buffers()[2]
    return [memoryview(text)[: _offsets(lines)[-1]]] if text is not None and len(lines) else []


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
