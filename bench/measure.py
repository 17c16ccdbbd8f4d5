"""Measures contenders side by side on one or more inputs and prints a Markdown table.

    python bench/measure.py --runs 7 --within-ratio 1.0 INPUT_DIR
    python bench/measure.py --runs 3 --within-growth 1.1 SMALL_DIR LARGE_DIR

Every run is a new process with a new output folder. After a round to warm up, rounds follow in which each
contender runs once on each input, so that a slow minute of the machine meets all of them; runs are compared
within their round. Exits 1 when a target is missed.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from contenders import PRODUCT, command
from process import Gauge, gauge
from report import circumstances, publish, table

HEAD = ["rows", "contender", "wall s (range)", "CPU s", "peak MB", "wall / peer", "wall - peer s"]
Runs = dict[tuple[Path, str], list[Gauge]]


def measure(sources: list[Path], contenders: list[str], rounds: int) -> Runs:
    """`rounds` gauges of every contender on every input, after one round that is not kept."""
    runs: Runs = {(source, contender): [] for source in sources for contender in contenders}
    for number in range(rounds + 1):
        if sys.stderr.isatty():
            print(f"round {number} of {rounds}", file=sys.stderr)
        for (source, contender), gauges in runs.items():
            with tempfile.TemporaryDirectory() as output:
                gauges.append(gauge(command(contender, source, Path(output))))
    return {key: gauges[1:] for key, gauges in runs.items()}


def count_rows(source: Path) -> int:
    """Data lines of all CSV files in the folder."""
    return sum(sum(1 for _ in file.open("rb")) - 1 for file in source.glob("*.csv"))


def ratio(runs: Runs, source: Path, one: str, other: str) -> float:
    """Median over the rounds of the wall time of `one` divided by that of `other`."""
    pairs = zip(runs[source, one], runs[source, other], strict=True)
    return median(mine.wall / theirs.wall for mine, theirs in pairs)


def difference(runs: Runs, source: Path, one: str, other: str) -> float:
    """Median over the rounds of the seconds that `one` takes more than `other`."""
    pairs = zip(runs[source, one], runs[source, other], strict=True)
    return median(mine.wall - theirs.wall for mine, theirs in pairs)


def row(runs: Runs, source: Path, contender: str, peer: str) -> list[str]:
    """One line of the table, in the order of HEAD; nothing is compared with itself."""
    gauges = runs[source, contender]
    walls = [run.wall for run in gauges]
    compared = contender != peer
    return [
        f"{count_rows(source):,}",
        contender,
        f"{median(walls):.2f} ({min(walls):.2f}-{max(walls):.2f})",
        f"{median(run.cpu for run in gauges):.2f}",
        f"{median(run.peak for run in gauges) / 1e6:.0f}",
        f"{ratio(runs, source, contender, peer):.2f}" if compared else "",
        f"{difference(runs, source, contender, peer):+.2f}" if compared else "",
    ]


def verdicts(runs: Runs, args: argparse.Namespace) -> list[tuple[bool, str]]:
    """Whether each target that was asked for holds, and the sentence about it."""
    first, last = args.sources[0], args.sources[-1]
    found = []
    if args.within_seconds is not None:
        seconds = difference(runs, first, PRODUCT, args.peer)
        target = f"at most {args.within_seconds} s more than {args.peer}"
        found.append((seconds <= args.within_seconds, f"{target}: {seconds:+.2f} s"))
    if args.within_ratio is not None:
        share = ratio(runs, first, PRODUCT, args.peer)
        target = f"at most {args.within_ratio} times the wall time of {args.peer}"
        found.append((share <= args.within_ratio, f"{target}: {share:.2f}"))
    if args.within_growth is not None:
        small, large = (median(run.peak for run in runs[source, PRODUCT]) for source in (first, last))
        target = f"memory of the last input at most {args.within_growth} times that of the first"
        found.append((large <= args.within_growth * small, f"{target}: {large / small:.2f}"))
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="measure the product beside its peers")
    parser.add_argument("sources", nargs="+", type=Path, metavar="INPUT_DIR", help="folders of CSV files")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--contenders", nargs="+", default=[PRODUCT, "membership_duckdb"], metavar="NAME")
    parser.add_argument("--peer", default="membership_duckdb", help="the contender to compare with")
    parser.add_argument("--within-seconds", type=float, metavar="S", help="target: seconds above the peer")
    parser.add_argument("--within-ratio", type=float, metavar="X", help="target: wall time / the peer's")
    parser.add_argument("--within-growth", type=float, metavar="X", help="target: peak, last / first input")
    parser.add_argument("--publish", metavar="NAME", help="also write it into bench/README.md")
    return parser.parse_args()


def main() -> int:
    """Measure, print, publish; 1 when a target is missed."""
    args = arguments()
    runs = measure(args.sources, args.contenders, args.runs)
    judged = verdicts(runs, args)
    rows = [row(runs, source, contender, args.peer) for source, contender in runs]
    sentences = [f"{'Held' if held else '**Missed**'}: {sentence}." for held, sentence in judged]
    footing = f"Medians of {args.runs} runs after one to warm up. {circumstances()}"
    text = "\n\n".join([table(HEAD, rows), *sentences, footing])
    print(text)
    if args.publish:
        publish(args.publish, text)
    return 0 if all(held for held, _ in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
