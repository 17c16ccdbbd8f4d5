"""How fast a run with Spark starts in the container's image, by what Java is told and given; prints a Markdown table.

    python bench/start.py --runs 5 INPUT_DIR

Every run is a new container of the job's own image. The job tells how long it took from Spark's session to the
published pair; the whole container, which is also shown, starts Python besides.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from contenders import ROOT
from limit import docker
from measure import count_rows
from report import circumstances, publish, table, verdicts

IMAGE = "section1_bench_start"
PLAIN = "\nspark: {conf: {spark.driver.extraJavaOptions: ''}}\ninput:\n"  # in place of our flags
WAYS = {  # what the image sets, and what stands in the configuration
    "as shipped: flags and archive": ([], ""),
    "flags only": (["--env=SPARK_SUBMIT_OPTS="], ""),
    "Java's defaults": (["--env=SPARK_SUBMIT_OPTS=", "--env=SPARK_LAUNCHER_OPTS="], PLAIN),
}


def seconds(source: Path, environment: list[str], spark: str) -> tuple[float, float]:
    """The wall time of one run on `source` in a new container: of Spark's session with its job, and of it all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        shipped = (ROOT / "section1" / "conf" / "section1_process.yaml").read_text()
        (folder / "task.yaml").write_text(shipped.replace("\ninput:\n", spark or "\ninput:\n", 1))
        mounts = [f"--volume={source}:{source}:ro", f"--volume={folder}:{folder}", "--tmpfs=/tmp:exec"]
        job = ["section1_manage.py", "--task-config", str(folder / "task.yaml"), "--engine", "spark", "--json"]
        folders = ["--input", str(source), "--output", str(folder / "out")]
        begin = time.perf_counter()
        done = docker(
            "run", "--rm", "--network=none", "--user=0", *mounts, *environment, "--entrypoint=python3", IMAGE, *job,
            *folders,
        )  # fmt: skip
        taken = time.perf_counter() - begin
        if done.returncode:
            raise SystemExit(f"the run ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return float(json.loads(done.stdout)["seconds"]), taken


def spread(times: tuple[float, ...]) -> str:
    """The median of some times, with their range."""
    return f"{median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


def main() -> int:
    """Build, run, print, publish; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description="how fast a run with Spark starts in the image")
    parser.add_argument("source", type=Path, metavar="INPUT_DIR")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--publish", metavar="NAME", help="also write it into bench/README.md")
    args = parser.parse_args()
    source = args.source.resolve()
    built = docker("build", "--tag", IMAGE, "--file", str(ROOT / "docker" / "section1_dockerfile"), str(ROOT))
    if built.returncode:
        raise SystemExit(f"no image:\n{built.stderr[-2000:]}")
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for number in range(args.runs + 1):
        for way, (environment, spark) in WAYS.items():
            taken = seconds(source, environment, spark)
            if number:  # the first round warms up
                took[way].append(taken)
    rows = f"{count_rows(source):,}"
    lines = [[rows, way, *map(spread, zip(*runs, strict=True))] for way, runs in took.items()]
    shipped, *_, plain = took.values()
    ratio = median(mine / theirs for (mine, _), (theirs, _) in zip(shipped, plain, strict=True))
    target = f"{rows} rows on Spark in the image: session and job take at most half the time of Java's defaults"
    head = ["rows", "Java", "session and job s (range)", "container s (range)"]
    text = f"{table(head, lines)}\n\n{verdicts([(target, f'{ratio:.2f}', ratio <= 0.5)])}"
    text += f"\n\nMedians of {args.runs} runs after one to warm up. {circumstances()}"
    print(text)
    if args.publish:
        publish(args.publish, text)
    return 0 if ratio <= 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
