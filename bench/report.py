"""Tables in Markdown, the line that says where they were measured, and their place in the README."""

import datetime
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

README = Path(__file__).with_name("README.md")
LIBRARIES = ("duckdb", "pyarrow", "numpy", "polars", "pyspark", "scikit-learn")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def verdicts(targets: list[tuple[str, str, bool]]) -> str:
    """A table of targets: the sentence, what was measured, whether it holds; empty without targets."""
    rows = [[target, measured, "held" if held else "**missed**"] for target, measured, held in targets]
    return table(["target", "measured", ""], rows) if rows else ""


def circumstances() -> str:
    """Date, machine and versions, in one sentence."""
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    machine = (
        f"{len(os.sched_getaffinity(0))} cores ({cpu.group(1) if cpu else platform.machine()}), "
        f"{memory / 1e9:.0f} GB, Linux {platform.release()}"
    )
    versions = [f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        try:
            versions.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    versions += java()
    return f"{datetime.date.today()}; {machine}; {', '.join(versions)}."


def java() -> list[str]:
    """The version of Java, where there is one; only Spark uses it."""
    try:
        told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return []
    return [f"Java {number[1]}"] if (number := re.search(r'version "([^"]+)', told)) else []


def publish(name: str, text: str) -> None:
    """Replace what stands in the README between `<!-- NAME -->` and `<!-- /NAME -->`."""
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    page, found = marked.subn(lambda match: f"{match[1]}{text}\n{match[2]}", README.read_text())
    if not found:
        raise SystemExit(f"{README} has no place for {name}: add <!-- {name} --> and <!-- /{name} -->")
    README.write_text(page)
