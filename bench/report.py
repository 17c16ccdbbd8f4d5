"""Tables in Markdown, the line that says where they were measured, and their place in the README."""

import datetime
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

README = Path(__file__).with_name("README.md")
LIBRARIES = ("duckdb", "pyarrow", "numpy", "polars", "pyspark")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


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
    return f"{datetime.date.today()}; {machine}; {', '.join(versions)}."


def publish(name: str, text: str) -> None:
    """Replace what stands in the README between `<!-- NAME -->` and `<!-- /NAME -->`."""
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    page, found = marked.subn(lambda match: f"{match[1]}{text}\n{match[2]}", README.read_text())
    if not found:
        raise SystemExit(f"{README} has no place for {name}: add <!-- {name} --> and <!-- /{name} -->")
    README.write_text(page)
