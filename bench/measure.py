"""Measures contenders side by side on one or more inputs and prints Markdown tables.

    python bench/measure.py --runs 7 --faster 2.5 membership_duckdb --peak 500 INPUT_DIR
    python bench/measure.py --runs 3 --contenders product membership_polars --growth 1.1 SMALL_DIR LARGE_DIR

The targets are those of the first contender. Every run is a new process with a new output folder. After a round to
warm up, rounds follow in which each contender runs once on each input, so that a slow minute of the machine meets
all of them; runs are compared within their round. Their order changes from round to round, as what a run leaves
behind (warm caches, say) helps the next one. Exits 1 when a target is missed.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path
from statistics import median

from contenders import PRODUCT, command, written
from process import Gauge, gauge
from report import circumstances, publish, table, verdicts

Runs = dict[tuple[Path, str], list[Gauge]]
Counts = dict[tuple[Path, str], tuple[int, int]]


def measure(sources: list[Path], contenders: list[str], rounds: int) -> tuple[Runs, Counts]:
    """`rounds` gauges of every contender on every input, after one round of which only the counts are kept."""
    runs: Runs = {(source, contender): [] for source in sources for contender in contenders}
    counts: Counts = {}
    shuffled = random.Random(1)
    for number in range(rounds + 1):
        if sys.stderr.isatty():
            print(f"round {number} of {rounds}", file=sys.stderr)
        for source, contender in shuffled.sample(list(runs), len(runs)):
            with tempfile.TemporaryDirectory() as output:
                runs[source, contender].append(gauge(command(contender, source, Path(output))))
                if number == 0:
                    counts[source, contender] = written(Path(output))
    return {key: gauges[1:] for key, gauges in runs.items()}, counts


def count_rows(source: Path) -> int:
    """Data lines of all CSV files in the folder."""
    return sum(sum(1 for _ in file.open("rb")) - 1 for file in source.glob("*.csv"))


def times(runs: Runs, source: Path, one: str, other: str) -> float:
    """Median over the rounds of how many times as long as `one` the `other` takes."""
    pairs = zip(runs[source, one], runs[source, other], strict=True)
    return median(theirs.wall / mine.wall for mine, theirs in pairs)


def seconds_more(runs: Runs, source: Path, one: str, other: str) -> float:
    """Median over the rounds of the seconds that `other` takes more than `one`."""
    pairs = zip(runs[source, one], runs[source, other], strict=True)
    return median(theirs.wall - mine.wall for mine, theirs in pairs)


def wall(runs: Runs, source: Path, contender: str) -> float:
    """Median wall time in seconds."""
    return median(run.wall for run in runs[source, contender])


def peak(runs: Runs, source: Path, contender: str) -> float:
    """Median peak memory in MB (10^6 bytes)."""
    return median(run.peak for run in runs[source, contender]) / 1e6


def head(first: str) -> list[str]:
    """The heads of the columns of `row`."""
    compared = [f"wall / {first}", f"wall - {first} s"]
    return ["rows", "contender", "wall s (range)", "CPU s", "peak MB", *compared, "accepted / rejected"]


def row(runs: Runs, counts: Counts, rows: int, source: Path, contender: str, first: str) -> list[str]:
    """One line of the table, in the order of `head`; nothing is compared with itself."""
    walls = [run.wall for run in runs[source, contender]]
    compared = contender != first
    return [
        f"{rows:,}",
        contender,
        f"{median(walls):.2f} ({min(walls):.2f}-{max(walls):.2f})",
        f"{median(run.cpu for run in runs[source, contender]):.2f}",
        f"{peak(runs, source, contender):.0f}",
        f"{times(runs, source, first, contender):.2f}" if compared else "",
        f"{seconds_more(runs, source, first, contender):+.2f}" if compared else "",
        " / ".join(f"{count:,}" for count in counts[source, contender]),
    ]


def judged(runs: Runs, rows: dict[Path, int], args: argparse.Namespace) -> list[tuple[str, str, bool]]:
    """Of each target that was asked for: its sentence, what was measured, and whether it holds."""
    first = args.contenders[0]
    found = []
    for source in args.sources:
        of_rows = f"{rows[source]:,} rows: {first}"
        for wanted, peer in args.faster:
            reached = times(runs, source, first, peer)
            target = f"at least {wanted} times as fast as {peer}" if float(wanted) > 1 else f"not slower than {peer}"
            found.append((f"{of_rows} is {target}", f"{reached:.2f} times", reached >= float(wanted)))
        for wanted, peer in args.within:
            more = -seconds_more(runs, source, first, peer)
            sentence = f"{of_rows} takes at most {wanted} s more than {peer}"
            found.append((sentence, f"{more:+.2f} s", more <= float(wanted)))
        if args.peak is not None:
            most = peak(runs, source, first)
            sentence = f"{of_rows} takes at most {args.peak:g} MB, all processes together"
            found.append((sentence, f"{most:.0f} MB", most <= args.peak))
    if args.growth is not None:
        small, large = args.sources[0], args.sources[-1]
        between = f"from {rows[small]:,} to {rows[large]:,} rows: {first} takes at most {args.growth:g} times the"
        slower = wall(runs, large, first) / rows[large] / (wall(runs, small, first) / rows[small])
        bigger = peak(runs, large, first) / peak(runs, small, first)
        found.append((f"{between} seconds per row", f"{slower:.2f} times", slower <= args.growth))
        found.append((f"{between} peak memory", f"{bigger:.2f} times", bigger <= args.growth))
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="measure contenders side by side; the targets are the first one's")
    parser.add_argument("sources", nargs="+", type=Path, metavar="INPUT_DIR", help="folders of CSV files")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--contenders", nargs="+", default=[PRODUCT, "membership_duckdb"], metavar="NAME")
    for option, unit, told in (
        ("--faster", "X", "target: the peer's wall time / the first's"),
        ("--within", "S", "target: seconds above the peer's wall time"),
    ):
        parser.add_argument(option, nargs=2, action="append", default=[], metavar=(unit, "PEER"), help=told)
    parser.add_argument("--peak", type=float, metavar="MB", help="target: peak memory")
    parser.add_argument(
        "--growth", type=float, metavar="X", help="target: seconds per row and peak memory, last / first input"
    )
    parser.add_argument("--publish", metavar="NAME", help="also write it into bench/README.md")
    args = parser.parse_args()
    for _, peer in args.faster + args.within:
        if peer not in args.contenders[1:]:
            parser.error(f"{peer} is to be compared with and is not among the contenders")
    return args


def main() -> int:
    """Measure, print, publish; 1 when a target is missed."""
    args = arguments()
    runs, counts = measure(args.sources, args.contenders, args.runs)
    rows = {source: count_rows(source) for source in args.sources}
    first = args.contenders[0]
    lines = [row(runs, counts, rows[source], source, contender, first) for source, contender in runs]
    targets = judged(runs, rows, args)
    footing = f"Medians of {args.runs} runs after one to warm up. {circumstances()}"
    text = "\n\n".join(filter(None, [table(head(first), lines), verdicts(targets), footing]))
    print(text)
    if args.publish:
        publish(args.publish, text)
    return 0 if all(held for *_, held in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
