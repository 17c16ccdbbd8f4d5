"""What can be compared: the product itself and every script in `peers/`. A new peer is one file there."""

import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
PRODUCT = "product"
FOLDERS = ("successful_application", "unsuccessful_application")
OUTPUTS = tuple(f"{folder}/applications.csv" for folder in FOLDERS)


def command(contender: str, source: Path, output: Path) -> list[str]:
    """The process that judges `source` into `output`.

    `product` is the job with its default engine, `product:ENGINE` names one, and any other name is
    `peers/NAME.py`. All run under the interpreter, and so with the libraries, of the caller.
    """
    if contender.partition(":")[0] == PRODUCT:
        engine = contender.partition(":")[2]
        job = [str(ROOT / "section1_manage.py"), "--input", str(source), "--output", str(output)]
        return [sys.executable, *job, *(["--engine", engine] if engine else [])]
    script = BENCH / "peers" / f"{contender}.py"
    if not script.is_file():
        known = ", ".join(sorted(file.stem for file in script.parent.glob("*.py")))
        raise SystemExit(f"no contender {contender}: there are product, product:ENGINE and the peers {known}")
    return [sys.executable, str(script), str(source), str(output)]


def written(output: Path) -> tuple[int, int]:
    """How many records a contender has accepted and how many it has rejected, from the lines of its CSV files."""
    accepted, rejected = (sum(map(records, (output / folder).glob("*.csv"))) for folder in FOLDERS)
    return accepted, rejected


def records(file: Path) -> int:
    """Lines of a CSV file without its header; a file that Spark left empty has none."""
    with file.open("rb") as lines:
        return max(0, sum(1 for _ in lines) - 1)
