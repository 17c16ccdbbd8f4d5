"""The entity diagram, drawn from the live schema by eralchemy: a PNG and, in the README, Mermaid."""

from __future__ import annotations

import hashlib
import logging
import re
import struct
import subprocess
import warnings
import zlib
from typing import TYPE_CHECKING

from batch.errors import EngineError
from section2.settings import ROOT, connected

if TYPE_CHECKING:
    from batch.postgres import Database

PICTURE = ROOT / "section2" / "section2_entity_diagram.png"
README = ROOT / "section2" / "README.md"
_MERMAID = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)
_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk of a PNG
_KEY = b"Source-SHA256\0"


def draw(database: Database) -> list[str]:
    """Write the picture and the README's Mermaid; returns what was written. Raises EngineError without Graphviz."""
    mermaid, dot = source(database)
    try:
        done = subprocess.run(["dot", "-Tpng", "-Gdpi=80"], input=dot, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        hint = "Install it, for example: apt-get install graphviz"
        raise EngineError("Graphviz' `dot` does not run", hint=hint) from error
    PICTURE.write_bytes(_signed(done.stdout, dot))
    README.write_text(_MERMAID.sub(lambda _: mermaid, README.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    return [f"wrote {path.relative_to(ROOT)}" for path in (PICTURE, README)]


def check(database: Database) -> list[str]:
    """A line for the picture and for the README where they do not show the live schema."""
    mermaid, dot = source(database)
    current = {PICTURE: _signature(dot) in PICTURE.read_bytes(), README: mermaid in README.read_text(encoding="utf-8")}
    return [
        f"{path.relative_to(ROOT)} is out of date: sh section2_runner.sh erd"
        for path, good in current.items()
        if not good
    ]


def source(database: Database) -> tuple[str, bytes]:
    """The tables of the schema `sales`, in Mermaid and in Graphviz' language, always in the same order."""
    import sqlalchemy

    logging.disable(logging.ERROR)  # eralchemy misses a library that draws; Graphviz itself does that here
    from eralchemy import render_er

    logging.disable(logging.NOTSET)

    with connected(database, "owner") as connection:
        engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: connection)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)  # of indexes on expressions, which are not drawn
            tables = sqlalchemy.MetaData()
            tables.reflect(engine)
        commented = render_er(tables, None, mode="mermaid_er").decode()
        found = re.search(r"<!--\n\n(.*?)\n\n-->", commented, re.DOTALL)
        assert found is not None  # eralchemy writes Mermaid as a comment beside a link to a drawing service
        mermaid, dot = found[1], render_er(tables, None, mode="dot").decode()
    return _sorted(mermaid, r"^\w+ \{$.*?^\}$|^\w+ \S+--.*?$"), _sorted(dot, r'^"\w+".*?;$').encode()


def _sorted(text: str, statement: str) -> str:
    """The diagram's statements in the order of the alphabet; eralchemy gives them in none."""
    pattern = re.compile(statement, re.DOTALL | re.MULTILINE)
    ordered = iter(sorted(pattern.findall(text)))
    return pattern.sub(lambda _: next(ordered), text).strip() + "\n"


def _signature(dot: bytes) -> bytes:
    return _KEY + hashlib.sha256(dot).hexdigest().encode()


def _signed(png: bytes, dot: bytes) -> bytes:
    """The picture with a text chunk that tells what it was drawn from."""
    chunk = b"tEXt" + _signature(dot)
    signed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png.removesuffix(_END) + signed + _END
