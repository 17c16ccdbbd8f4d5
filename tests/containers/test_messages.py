"""What is wrong with the machine is said in one line, by `start` and before Docker is asked to do anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MEMORY = 4 << 30
TOOLS = [
    "sh",
    "awk",
    "cat",
    "id",
    "printf",
    "sed",
    "ls",
    "mkdir",
    "grep",
    "mktemp",
    "rm",
    "tail",
    "find",
    "chmod",
    "chown",
    "chgrp",
]
NO_COMPOSE = '[ "$1" != compose ] || { echo "docker: compose is not a docker command" >&2; exit 1; }'
NO_DAEMON = '[ "$1" != info ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }'
WORKS = f'[ "$1" != info ] || echo {MEMORY}'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine's programs, without docker, and the runner's folder."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    shutil.copy(ROOT / "section1_runner.sh", tmp_path)
    (tmp_path / "section1" / "resource").mkdir(parents=True)
    return tmp_path


def runner(machine: Path, *arguments: str, docker: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    if docker:
        program = machine / "bin" / "docker"
        program.write_text(f"#!/bin/sh\n{docker}\n")
        program.chmod(0o755)
    return subprocess.run(
        ["sh", "section1_runner.sh", *arguments],
        cwd=machine,
        env={"PATH": str(machine / "bin"), "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("verb", ["start", "stop", "status"])
@pytest.mark.parametrize(
    ("docker", "said"),
    [
        ("", "Docker is not installed"),
        (NO_COMPOSE, "Docker has no compose plugin"),
        (NO_DAEMON, "Docker does not answer"),
    ],
)
def test_no_engine(machine: Path, verb: str, docker: str, said: str) -> None:
    done = runner(machine, verb, docker=docker)
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.startswith(f"section1_runner: {said}")
    assert "sh section1_runner.sh run" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value", "code", "said"),
    [
        ("SECTION1_MEMORY", "plenty", 2, "is no amount of memory; write it as 2g"),
        ("SECTION1_MEMORY", "64m", 2, "is too little"),
        ("SECTION1_MEMORY", "8g", 5, "no memory: the container may take 8g and Docker has 4096m"),
        ("SECTION1_UI_PORT", "http", 2, "is no port"),
        ("SECTION1_UI_PORT", "0", 2, "is no port"),
        ("SECTION1_UI_PORT", "65536", 2, "is no port"),
        ("SECTION1_UI_PORT", "123456", 2, "is no port"),
        ("SECTION1_MASTER_PORT", "http", 2, "SECTION1_MASTER_PORT=http is no port"),
    ],
)
def test_wrong_settings(machine: Path, variable: str, value: str, code: int, said: str) -> None:
    done = runner(machine, "start", docker=WORKS, **{variable: value})
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Bind for 127.0.0.1:4040 failed: port is already allocated", "port 4040 is taken"),
        ('The container name "/section1_python" is already in use by container "1"', "of another checkout"),
        ("write /x: no space left on device", "the disk is full"),
        ("container section1_python is unhealthy", "is running and not healthy: unhealthy since"),
        ("something new", "something new\nsection1_runner: Docker could not start the container"),
    ],
)
def test_what_docker_answers(machine: Path, answer: str, said: str) -> None:
    docker = f"""{WORKS}
    case "$*" in
    *State.OOMKilled*) echo false ;;
    *Health.Log*) echo "unhealthy since 2022-01-01T00:00:00+00:00: run 1 failed" ;;
    *" up "*) echo '{answer}' >&2; exit 1 ;;
    esac"""
    done = runner(machine, "start", docker=docker, SECTION1_UI_PORT="4040")
    assert done.returncode == 5
    assert said in done.stderr


def test_taken_port_of_the_cluster(machine: Path) -> None:
    answer = "Bind for 127.0.0.1:8080 failed: port is already allocated"
    docker = f"""{WORKS}
    case "$*" in
    *" up "*) echo '{answer}' >&2; exit 1 ;;
    esac"""
    for others in ({}, {"SECTION1_UI_PORT": "4040"}):
        done = runner(machine, "start", "--cluster", docker=docker, SECTION1_MASTER_PORT="8080", **others)
        assert "port 8080 is taken; start with another one, for example SECTION1_MASTER_PORT=8081" in done.stderr


def test_start_takes_no_other_option(machine: Path) -> None:
    done = runner(machine, "start", "--claster", docker=WORKS)
    assert (done.returncode, done.stderr) == (
        2, "section1_runner: start takes --cluster and nothing else, not --claster\n"
    )  # fmt: skip


def test_killed_for_want_of_memory(machine: Path) -> None:
    docker = f"""{WORKS}
    case "$*" in
    *State.OOMKilled*) echo true ;;
    *" up "*) echo 'container section1_python exited (137)' >&2; exit 1 ;;
    esac"""
    done = runner(machine, "start", docker=docker)
    assert done.stderr.startswith("section1_runner: no memory: the container needs more than 2g")


def test_logs_before_the_first_start(machine: Path) -> None:
    done = runner(machine, "logs")
    assert done.returncode == 3
    assert "begins with: sh section1_runner.sh start" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["sart"]])
def test_usage(machine: Path, arguments: list[str]) -> None:
    done = runner(machine, *arguments)
    assert done.returncode == 2
    for verb in ("run", "start", "status", "logs", "stop"):
        assert f"\n  {verb} " in done.stderr
