"""Checks that contenders give the same two files for an input: the same header, the same lines in any order.

    python bench/equal.py INPUT_DIR [CONTENDER ...]

For inputs that are nobody's data: the first lines that differ are printed.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from contenders import OUTPUTS, PRODUCT, command
from process import gauge


def outcome(contender: str, source: Path) -> list[list[bytes]]:
    """The lines of each output file: the header, then the sorted rest."""
    with tempfile.TemporaryDirectory() as folder:
        gauge(command(contender, source, Path(folder)))
        files = [Path(folder, name).read_bytes().splitlines() for name in OUTPUTS]
    return [lines[:1] + sorted(lines[1:]) for lines in files]


def differences(ours: list[bytes], theirs: list[bytes]) -> str:
    """How many lines only one side has, with the first of each."""
    sides = []
    for name, one, other in (("first", ours, theirs), ("second", theirs, ours)):
        only = sorted((Counter(one) - Counter(other)).elements())
        sides.append(f"  {len(only)} only in the {name}" + (f", such as {only[0].decode()}" if only else ""))
    return "\n".join(sides)


def main() -> None:
    """Compare every contender with the first; exit 1 at the first difference."""
    parser = argparse.ArgumentParser(description="check that contenders give the same outputs")
    parser.add_argument("source", type=Path, metavar="INPUT_DIR", help="a folder of CSV files")
    parser.add_argument("contenders", nargs="*", default=[PRODUCT, "membership_duckdb"], metavar="CONTENDER")
    args = parser.parse_args()

    first, *others = args.contenders
    expected = outcome(first, args.source)
    for other in others:
        for name, ours, theirs in zip(OUTPUTS, expected, outcome(other, args.source), strict=True):
            if ours != theirs:
                raise SystemExit(f"{name} of {first} and {other} differ:\n{differences(ours, theirs)}")
    counts = " and ".join(f"{len(lines) - 1:,}" for lines in expected)
    print(f"{' = '.join(args.contenders)}: {counts} records in {args.source}")


if __name__ == "__main__":
    main()
