"""What the jobs' command lines do alike: how a command ends, how it prints, what it takes for a number, its tests."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent


def ended(
    section: str, command: Callable[[], int], *, interrupted: str, installs: str = "", with_value: bool = False
) -> int:
    """Run a command; returns its exit code. Failures are one message on standard error, never a traceback.

    A defect is told by its place, and by its value only where that is nobody's data. `installs` says how to get a
    missing package, if not by the section's plain `run`; `interrupted` what Ctrl-C leaves behind.
    """
    from batch.errors import BatchError

    try:
        return command()
    except BatchError as error:
        return _failed(section, str(error), error.exit_code)
    except ModuleNotFoundError as error:
        how = installs or f"`sh {section}_runner.sh run` installs what is needed."
        return _failed(section, f"the package {error.name} is missing\n  {how}", 5)
    except Exception as error:
        import traceback

        at = traceback.extract_tb(error.__traceback__)[-1]
        value = f": {error}" if with_value else ""
        return _failed(section, f"internal error: {type(error).__name__} at {at.filename}:{at.lineno}{value}", 1)
    except KeyboardInterrupt:
        return _failed(section, interrupted, 130)


def _failed(section: str, message: str, code: int) -> int:
    print(f"{section}: {message}", file=sys.stderr)
    return code


def say(text: str) -> None:
    """Print a result; whoever reads it may have gone away."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _nobody_reads()


def leave(main: Callable[[], int]) -> NoReturn:
    """Leave with main's code once everything is flushed."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        _nobody_reads()
        code = 0
    sys.exit(code)


def _nobody_reads() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def count(text: str) -> int:
    """An option's value as a number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 0 on")
    return int(text)


def run_tests(folders: list[str], *categories: str) -> int:
    """Run the tests in these folders with pytest, which is installed on first use; returns the exit code."""
    import subprocess

    wanted = ["default", "develop", *categories]
    ready = subprocess.run(["sh", str(ROOT / "batch" / "environment.sh"), *wanted], check=False)
    if ready.returncode:
        return ready.returncode
    python = str(ROOT / ".venv" / "bin" / "python")  # where the tests' packages are, whichever Python runs this
    tests = [str(ROOT / "tests" / folder) for folder in folders]
    return subprocess.run([python, "-m", "pytest", *tests], cwd=ROOT, check=False).returncode
