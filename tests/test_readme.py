"""The READMEs' commands work as printed: each shell block is run in a fresh copy of the project."""

from __future__ import annotations

import os
import pty
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *(f"section{number}/README.md" for number in range(1, 6))]
CONTAINER = re.compile(r"^(docker|sh section[15]_runner.sh (start|stop|status|logs))\b", re.MULTILINE)
CONTAINERS = ("section1_python", "section5_lab", "section5_predict")
PORT = re.compile(r"http://127\.0\.0\.1:(\d+)")
ONE_TEST = "def test_one() -> None:\n    assert True\n"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def copy_of_the_project(folder: Path) -> Path:
    """What git would clone, with this checkout's packages and one test in place of all."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if not name.startswith("tests/") and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    (folder / "tests" / "section1").mkdir(parents=True)
    (folder / "tests" / "section1" / "test_one.py").write_text(ONE_TEST)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    """Not among pytest's folders, which any other pytest locks: Postgres runs as somebody else where we are root."""
    folder = Path(tempfile.mkdtemp(prefix="a clone "))
    folder.chmod(0o755)
    yield copy_of_the_project(folder)
    shutil.rmtree(folder)


def on_a_terminal(command: str, folder: Path) -> tuple[int, str]:
    """Run a command on a terminal on which nobody types."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(["sh", "-ec", command], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    output = b""
    while True:
        try:
            output += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    return process.wait(), output.decode().replace("\r\n", "\n")


def cannot_run(block: str) -> bool:
    """Whether a block needs what is not here: Java, Terraform and time, a free port, or an engine of containers."""
    if "spark" in block and not shutil.which("java"):
        return True
    if "apply-locally" in block and not (shutil.which("terraform") and os.environ.get("FULL_TESTS")):
        return True
    if any(is_taken(int(port)) for port in PORT.findall(block)):
        return True
    return bool(CONTAINER.search(block)) and no_container()


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def no_container() -> bool:
    """Whether the containers' commands cannot be run here: without an engine, or beside a container of that name."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        assert not os.environ.get("REQUIRE_CONTAINERS"), "REQUIRE_CONTAINERS is set and there is no container engine"
        return True
    there = [subprocess.run(["docker", "inspect", name], capture_output=True, check=False) for name in CONTAINERS]
    return not all(found.returncode for found in there)


def without_figures_of_the_day(text: str) -> str:
    text = re.sub(r"\d{8}T\d{9}Z-\d+", "RUN", text)
    text = re.sub(r"^\d\d:\d\d:\d\d", "TIME", text, flags=re.MULTILINE)
    return re.sub(r"\d+\.\d+ s", "N s", text)


def test_first_command_prints_what_the_readme_shows(project: Path) -> None:
    code, output = on_a_terminal(blocks("README.md", "sh")[0], project)
    assert code == 0
    shown = blocks("README.md", "output")[0]
    shown = shown.partition("\n")[2] if shown.startswith("environment:") else shown
    assert without_figures_of_the_day(output) == without_figures_of_the_day(shown.replace("\\\n", ""))
    assert len(blocks("README.md", "output")[0].splitlines()) <= 25


@pytest.mark.parametrize("page", PAGES)
def test_every_shell_block_runs(page: str, project: Path, tmp_path: Path) -> None:
    for block in blocks(page, "sh"):
        if cannot_run(block):
            continue
        code, output = on_a_terminal(block.replace("/tmp/", f"{tmp_path}/"), project)
        assert code == 0, f"{block}\n{output}"
        assert "Traceback" not in output


def test_every_link_leads_somewhere() -> None:
    for page in [*PAGES, "bench/README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_the_tree_names_what_is_there() -> None:
    tree = re.search(r"## What lives where\n\n((?:    .*\n)+)", (ROOT / "README.md").read_text())
    assert tree is not None
    parents: list[str] = []
    for line in tree[1].splitlines():
        names = line.strip().split("   ")[0]
        indent = (len(line) - len(line.lstrip()) - 4) // 2
        parents = [*parents[:indent], names.split()[0]]
        for name in names.split():
            if name.endswith(("/", ".py", ".sh")):
                path = Path(*parents[:indent], name)
                assert (ROOT / path).exists() or name == "resource/dest/", f"{path} is in the tree and not there"
