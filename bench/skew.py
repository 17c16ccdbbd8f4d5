"""How evenly Spark's workers share files of very different sizes; prints a Markdown table.

    python bench/skew.py [--rows 3400000] [--small 1000]

One file of so many rows (3.4 million are 200 MB) and a thousand of 1 kB are judged on a standalone cluster of two
workers with a core each. Spark's own event log tells when each worker had a task.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from contenders import ROOT
from report import circumstances, publish, table, verdicts

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "section1")]  # the cluster of this machine's processes is the tests'
from cluster import MEMORY, Cluster  # noqa: E402

MOST_IDLE = 0.1  # of the time between the first task's start and the last one's end


def lay_out(folder: Path, rows: int, small: int) -> None:
    """One large file and many small ones."""
    generate = [sys.executable, str(ROOT / "section1_manage.py"), "generate", "--files", "1"]
    subprocess.run([*generate, "--rows", str(rows), "--seed", "1", "--output", str(folder)], check=True)
    (large,) = folder.iterdir()
    with large.open() as lines:
        head = [next(lines) for _ in range(18)]
    for number in range(small):
        (folder / f"small_{number}.csv").write_text("".join([head[0], f"Number {number},,,\n", *head[1:]]))


def busy(events: Path) -> dict[str, list[tuple[int, int]]]:
    """The start and end of each worker's tasks, in milliseconds."""
    found = defaultdict(list)
    (log,) = events.iterdir()
    for line in log.read_text().splitlines():
        event = json.loads(line)
        if event["Event"] == "SparkListenerTaskEnd":
            task = event["Task Info"]
            found[task["Executor ID"]].append((task["Launch Time"], task["Finish Time"]))
    return found


def main() -> int:
    """Lay out, run, print, publish; 1 when a worker was idle for too long."""
    parser = argparse.ArgumentParser(description="how evenly Spark's workers share files of very different sizes")
    parser.add_argument("--rows", type=int, default=3_400_000)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--publish", metavar="NAME", help="also write it into bench/README.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder / "in", args.rows, args.small)
        sizes = sorted(path.stat().st_size for path in (folder / "in").iterdir())
        cluster = Cluster(folder)
        try:
            tasks = run(folder, cluster.master)
        finally:
            cluster.stop()
    begin, end = min(t[0] for ts in tasks.values() for t in ts), max(t[1] for ts in tasks.values() for t in ts)
    lines, worst = [], 0.0 if len(tasks) == 2 else 1.0
    for worker, spans in sorted(tasks.items()):
        idle = 1 - sum(stop - start for start, stop in spans) / (end - begin)
        worst = max(worst, idle)
        lines.append(
            [worker, f"{len(spans)}", f"{sum(stop - start for start, stop in spans) / 1e3:.1f}", f"{idle:.1%}"]
        )
    what = f"one file of {sizes[-1] / 1e6:.0f} MB and {args.small:,} of {sizes[0] / 1e3:.0f} kB"
    target = f"{what}: no worker is idle for more than {MOST_IDLE:.0%} of the time"
    text = table(["worker", "tasks", "busy s", "idle"], lines)
    text += f"\n\n{verdicts([(target, f'{worst:.1%}', worst <= MOST_IDLE)])}\n\nOne run. {circumstances()}"
    print(text)
    if args.publish:
        publish(args.publish, text)
    return 0 if worst <= MOST_IDLE else 1


def run(folder: Path, master: str) -> dict[str, list[tuple[int, int]]]:
    """Judge the files on the cluster; returns what `busy` does."""
    (folder / "events").mkdir()
    conf = {
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": MEMORY,
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{folder}/events",
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }
    shipped = (ROOT / "section1" / "conf" / "section1_process.yaml").read_text()
    spark = f"\nspark: {json.dumps({'master': master, 'conf': conf})}\ninput:\n"
    (folder / "task.yaml").write_text(shipped.replace("\ninput:\n", spark, 1))
    job = [sys.executable, str(ROOT / "section1_manage.py"), "--task-config", str(folder / "task.yaml")]
    done = subprocess.run(
        [*job, "--input", str(folder / "in"), "--output", str(folder / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the run ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return busy(folder / "events")


if __name__ == "__main__":
    sys.exit(main())
