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
    for runner in ROOT.glob("section?_runner.sh"):
        shutil.copy(runner, tmp_path)
    (tmp_path / "batch").mkdir()
    shutil.copy(ROOT / "batch" / "runner.sh", tmp_path / "batch")
    (tmp_path / "section1" / "resource").mkdir(parents=True)
    return tmp_path


def runner(
    machine: Path, *arguments: str, section: int = 1, docker: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    if docker:
        program = machine / "bin" / "docker"
        program.write_text(f"#!/bin/sh\n{docker}\n")
        program.chmod(0o755)
    return subprocess.run(
        ["sh", f"section{section}_runner.sh", *arguments],
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


@pytest.mark.parametrize("section", [2, 4, 5])
def test_no_engine_in_the_other_sections(machine: Path, section: int) -> None:
    for verb in ("start", "stop", "status", "logs"):
        done = runner(machine, verb, section=section)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (5, "", 1)
        assert done.stderr.startswith(f"section{section}_runner: Docker is not installed")
        assert f"sh section{section}_runner.sh run" in done.stderr


@pytest.mark.parametrize(
    ("section", "variable"),
    [(2, "SECTION2_PORT"), (4, "SECTION4_PORT"), (5, "SECTION5_LAB_PORT"), (5, "SECTION5_PREDICT_PORT")],
)
@pytest.mark.parametrize("port", ["http", "0", "70000", "80 90", "*"])
def test_a_wrong_port_in_the_other_sections(machine: Path, section: int, variable: str, port: str) -> None:
    done = runner(machine, "start", section=section, docker=WORKS, **{variable: port})
    assert done.returncode == 2
    assert done.stderr.startswith(f"section{section}_runner: {variable}={port} is no port")


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


@pytest.mark.parametrize("section", range(1, 6))
@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["sart"], 2), (["help"], 0), (["--help"], 0)])
def test_usage(machine: Path, section: int, arguments: list[str], code: int) -> None:
    done = runner(machine, *arguments, section=section)
    assert done.returncode == code
    assert ("unknown verb: sart" in done.stderr) == (arguments == ["sart"])
    for verb in ("run", "start", "status", "stop", *(["logs"] if section != 3 else [])):
        assert f"\n  {verb} " in done.stdout + done.stderr
