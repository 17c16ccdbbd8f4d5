"""The lock: one holder, gone with it, and who it is can be read."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from batch import lock
from batch.errors import BusyError

HOLDER = """
import sys, time
from pathlib import Path
from batch import lock
with lock.exclusive(Path(sys.argv[1]), "run A"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run.lock")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_is_told_who_holds_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(BusyError, match=f"run A, process {holder.pid}"), lock.exclusive(tmp_path / "run.lock", "run B"):
        pass
    holder.kill()
    holder.wait()


def test_dies_with_its_holder(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock.exclusive(tmp_path / "run.lock", "run B"):
        assert (tmp_path / "run.lock").read_text() == f"run B, process {os.getpid()}\n"


def test_is_free_after_the_block_also_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lock.exclusive(tmp_path / "run.lock", "run A"):
            raise ZeroDivisionError
    assert stat.S_IMODE((tmp_path / "run.lock").stat().st_mode) & 0o007 == 0


def test_is_not_inherited_by_programs_that_the_holder_starts(tmp_path: Path) -> None:
    with lock.exclusive(tmp_path / "run.lock", "run A"):
        child = subprocess.Popen(["sleep", "60"])
    with lock.exclusive(tmp_path / "run.lock", "run B"):
        pass
    child.kill()
    child.wait()
