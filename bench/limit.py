"""Runs contenders in containers under a memory limit and prints a Markdown table of who gets through.

    python bench/limit.py --memory 1000 INPUT_DIR product membership_polars

The limit is the kernel's, for all processes of a container together and without swap; pages of files count too, but
the kernel takes those back before it kills. The first contender has to get through. Exits 1 when it does not, also
where the limit cannot be set: without Docker, or on a kernel that ignores it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contenders import ROOT, command, written
from measure import count_rows
from report import circumstances, publish, table, verdicts

IMAGE = "section1_bench"
PATIENCE = 1800  # seconds
PYTHON = "/bench/.venv/bin/python"
LIMIT_FILES = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"  # of cgroup v2 and v1


def docker(*arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a Docker command; exits with the reason when there is no Docker."""
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=timeout)
    except OSError as error:
        raise SystemExit(f"the memory limit was not tried: {error}") from error


def prepare(limit: list[str], size: int) -> None:
    """Build the image and see that the kernel enforces the limit; exits where either fails."""
    built = docker("build", "--quiet", "--tag", IMAGE, "--file", str(ROOT / "bench" / "limit_dockerfile"), str(ROOT))
    if built.returncode:
        raise SystemExit(f"the memory limit was not tried, no image:\n{built.stderr[-2000:]}")
    seen = docker("run", "--rm", *limit, IMAGE, "sh", "-c", f"cat {LIMIT_FILES} 2>/dev/null || :").stdout.split()
    if not any(text.isdigit() and 0 < int(text) <= size for text in seen):
        raise SystemExit(f"the memory limit was not tried: Docker does not set it, the kernel says {' '.join(seen)}")


def attempt(contender: str, source: Path, limit: list[str]) -> tuple[bool, str, str]:
    """Run a contender on `source`: whether it got through, its wall time or end, and its counts.

    The project and the input are mounted read-only at their own paths. A container is removed after it was asked
    whether the kernel killed one of its processes.
    """
    with tempfile.TemporaryDirectory() as output:
        _, *rest = command(contender, source, Path(output))
        folders = [f"--volume={ROOT}:{ROOT}:ro", f"--volume={source}:{source}:ro", f"--volume={output}:{output}"]
        user = [f"--user={os.getuid()}:{os.getgid()}", "--env=HOME=/tmp", "--env=PYTHONDONTWRITEBYTECODE=1"]
        started = docker("create", "--network=none", *limit, *folders, *user, IMAGE, PYTHON, *rest)
        if started.returncode:
            raise SystemExit(f"{contender} could not be started:\n{started.stderr[-2000:]}")
        container = started.stdout.strip()
        try:
            begin = time.perf_counter()
            try:
                docker("start", "--attach", container, timeout=PATIENCE)
            except subprocess.TimeoutExpired:  # short of memory, a process may read its files again and again
                return False, f"not done after {PATIENCE} s", ""
            seconds = time.perf_counter() - begin
            state = json.loads(docker("inspect", "--format", "{{json .State}}", container).stdout)
        finally:
            docker("rm", "--force", container)
        if state["ExitCode"] == 0 and not state["OOMKilled"]:
            return True, f"{seconds:.1f} s", " / ".join(f"{count:,}" for count in written(Path(output)))
        killed = state["OOMKilled"] or state["ExitCode"] == 137
        return False, "killed: out of memory" if killed else f"ended with {state['ExitCode']}", ""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="run contenders in containers under a memory limit")
    parser.add_argument("source", type=Path, metavar="INPUT_DIR", help="a folder of CSV files")
    parser.add_argument("contenders", nargs="+", metavar="CONTENDER")
    parser.add_argument("--memory", type=int, default=1000, metavar="MB", help="the limit (default 1000)")
    parser.add_argument("--publish", metavar="NAME", help="also write it into bench/README.md")
    return parser.parse_args()


def main() -> int:
    """Build, run, print, publish; 1 when the first contender does not get through."""
    args = arguments()
    source, size = args.source.resolve(), args.memory * 10**6
    limit = [f"--memory={size}", f"--memory-swap={size}"]
    prepare(limit, size)
    rows = f"{count_rows(source):,}"
    ends = {contender: attempt(contender, source, limit) for contender in args.contenders}
    lines = [[rows, contender, end, counts] for contender, (_, end, counts) in ends.items()]
    held, end, _ = ends[args.contenders[0]]
    target = f"{args.contenders[0]} gets through, {rows} rows with {args.memory:,} MB"
    text = table(["rows", "contender", f"with {args.memory:,} MB", "accepted / rejected"], lines)
    text = f"{text}\n\n{verdicts([(target, end, held)])}"
    text += f"\n\nOne run each, in a container with the same packages. {circumstances()}"
    print(text)
    if args.publish:
        publish(args.publish, text)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
