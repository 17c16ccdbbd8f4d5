"""What a person types: every command and option is in the page, and start, status and stop serve the pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import section3_manage
from section3 import charts, drawing, infrastructure, pages, serve

ROOT = Path(__file__).parent.parent.parent
PAGE = pages.PAGE.read_text()


def manage(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "section3_manage.py"), *arguments]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=False, timeout=120)


def test_every_link_of_the_page_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        other_section = target.startswith("../section") and not (ROOT / target.split("/")[1]).exists()
        assert other_section or (pages.FOLDER / target).exists(), target


@pytest.mark.parametrize("command", section3_manage.COMMANDS)
def test_every_command_is_in_the_page(command: str) -> None:
    assert f"`{command}`" in PAGE or f"`{command} [" in PAGE


def test_help_needs_no_package() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "section3_manage.py"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert all(command in done.stdout for command in section3_manage.COMMANDS)


@pytest.mark.parametrize("words", [["unknown"], ["simulate", "--yaml"], ["run", "more"]])
def test_a_wrong_word_is_a_usage_error(words: list[str]) -> None:
    assert manage(*words).returncode == 2


@pytest.mark.parametrize("words", [[], ["unknown"], ["start", "now"]])
def test_the_runner_refuses_what_it_does_not_know(words: list[str]) -> None:
    done = subprocess.run(["sh", str(ROOT / "section3_runner.sh"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "section3_runner" in done.stderr


def test_without_terraform_validate_says_what_to_install(tmp_path: Path) -> None:
    done = manage("validate", PATH=str(tmp_path))
    assert done.returncode == 5 and "terraform is not on the PATH" in done.stderr and "https://" in done.stderr


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ('output "a" {\n value=1\n}\n', "outputs.tf: not in Terraform's format"),
        pytest.param('output "a" {\n  value = module.ingest.nothing\n}\n', "outputs.tf line 2", marks=pytest.mark.full),
    ],
)
@pytest.mark.usefixtures("terraform")
def test_a_mistake_in_the_design_is_told_with_its_place(
    mistake: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "terraform"
    shutil.copytree(infrastructure.SOURCE, source)
    (source / "outputs.tf").write_text(mistake)
    monkeypatch.setattr(infrastructure, "SOURCE", source)
    with pytest.raises(infrastructure.EngineError, match=says):
        infrastructure.validate(tmp_path / "work")


def test_the_page_is_built_with_all_its_pictures(tmp_path: Path) -> None:
    html = pages.build(tmp_path / "site").read_text()
    shown = {picture.name for picture in map(drawing.picture, drawing.DIAGRAMS)} | set(map(charts.name, charts.CHARTS))
    assert {name for name in shown if f'src="{name}"' in html} == shown
    assert {file.name for file in (tmp_path / "site").glob("*.svg")} == shown
    links = [link for link in re.findall(r'href="([^"#]+)"', html) if not link.startswith("http")]
    assert links and all((tmp_path / "site" / link).exists() for link in links)
    assert "```" not in html and "flowchart" not in html and "<!-- " not in html


@pytest.fixture
def free_port() -> Iterator[int]:
    if serve.running():
        pytest.skip("the pages are being served; stop them first: sh section3_runner.sh stop")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    yield port
    manage("stop")


def test_start_status_and_stop(free_port: int) -> None:
    address = f"http://127.0.0.1:{free_port}/"
    assert manage("status").returncode == 1
    for _ in range(2):  # a second start changes nothing
        started = manage("start", SECTION3_PORT=str(free_port))
        assert started.returncode == 0 and address in started.stdout, started.stderr
    with urllib.request.urlopen(f"{address}{drawing.picture('write').name}", timeout=5) as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml" and b"diagrams/write.mmd" in answer.read()
    assert address in manage("status").stdout
    assert manage("stop").stdout == "stopped\n"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=5)
    assert manage("stop").returncode == 0 and manage("status").returncode == 1


def test_a_taken_port_is_one_line(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        done = manage("start", SECTION3_PORT=str(free_port))
    assert done.returncode == 7
    assert f"port {free_port} is taken" in done.stderr and "SECTION3_PORT=" in done.stderr


@pytest.mark.parametrize("port", ["x", "0", "80", "70000"])
def test_a_wrong_port_is_one_line(port: str) -> None:
    done = manage("start", SECTION3_PORT=port)
    assert done.returncode == 2 and f"SECTION3_PORT={port} is no port" in done.stderr


def test_another_process_that_has_the_number_is_left_alone(free_port: int) -> None:
    serve.STATE.parent.mkdir(parents=True, exist_ok=True)
    serve.STATE.write_text(json.dumps({"pid": os.getpid(), "port": free_port}))
    assert manage("status").returncode == 1
    assert "nothing is served" in manage("stop").stdout
