#!/usr/bin/env python3
"""Section 1, membership applications: the command line of the hourly job."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
DESCRIPTION = """\
Judge the membership applications that are new in the input folder and publish
one folder of successful and one of unsuccessful ones. Without a command: run."""
EXIT_CODES = """\
exit codes:
  0 done (also: nothing new, rows rejected)   2 usage or configuration
  3 input   4 data does not balance   5 engine   6 publish   7 busy"""


def parser() -> argparse.ArgumentParser:
    """The command line. Options may stand before or after the command."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    option = shared.add_argument
    option("--task-config", metavar="FILE", help="YAML: a path, or a name in section1/conf (section1_process.yaml)")
    option("--sql-kwargs", metavar="K=V", nargs="+", help="parameters in place of the YAML's: as_of=2023-01-01")
    option("--engine", choices=("auto", "duckdb", "spark"), help="in place of the YAML's engine")
    option("--input", metavar="DIR", help="in place of the YAML's input folder")
    option("--output", metavar="DIR", help="in place of the YAML's output folder; the ledger goes with it")
    option("--json", action="store_true", help="print the result as JSON")

    main = argparse.ArgumentParser(
        prog="section1_manage.py",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    main.add_argument("--test", action="store_true", help="run this section's tests instead; fails when one fails")
    commands = main.add_subparsers(dest="command", metavar="command", title="commands")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[shared])

    command("run", "judge and publish what is new (the default)")
    command("dry-run", "check the configuration and say what would run; starts no engine, writes nothing")
    one = command("replay", "judge one run's rejected rows again and publish those that pass now")
    one.add_argument("run_id", metavar="RUN_ID", help="as `status` lists it")
    many = command("backfill", "replay all runs that started in a range of days")
    many.add_argument("--from", dest="first", metavar="TIME", required=True, help="first day or time, ISO 8601, UTC")
    many.add_argument("--to", dest="last", metavar="TIME", required=True, help="last day or time, included")
    command("status", "what the ledger knows: last success, counts, data age, next run")
    made = command("generate", "write look-alike applications: into --output, or the YAML's input folder")
    made.add_argument("--rows", type=_count, default=5000, help="how many applications (default: 5000)")
    made.add_argument("--files", type=_count, default=2, help="in how many files (default: 2)")
    made.add_argument("--seed", type=int, default=1, help="the same seed gives the same files (default: 1)")
    return main


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("may not be negative")
    return number


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. Failures are one message on standard error, never a traceback."""
    options = parser().parse_args(arguments)
    os.umask(0o027)
    if options.test:
        return _test()

    from batch.errors import BatchError

    try:
        return _command(options)
    except BatchError as error:
        print(f"section1: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # a defect: say where it is, without values that may be somebody's data
        import traceback

        at = traceback.extract_tb(error.__traceback__)[-1]
        print(f"section1: internal error: {type(error).__name__} at {at.filename}:{at.lineno}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("section1: interrupted; the last published pair is still in place", file=sys.stderr)
        return 130


def _command(options: argparse.Namespace) -> int:
    from section1 import settings

    generating = options.command == "generate"
    given = vars(options)
    task = settings.load(
        given.get("task_config", "section1_process.yaml"),
        given.get("sql_kwargs", []),
        engine=given.get("engine", ""),
        source=given.get("input", ""),
        destination="" if generating else given.get("output", ""),
    )
    as_json = given.get("json", False)
    if generating:
        return _generate(options, Path(given.get("output") or task.settings.input.folder))
    if options.command == "status":
        return _status(task, as_json=as_json)
    if options.command == "dry-run":
        from section1 import dry_run

        print(dry_run.check(task))
        return 0

    import msgspec

    from batch import imports, logs

    if task.settings.engine_name == "duckdb":
        imports.refuse("pandas")  # pyarrow and duckdb import it where it is installed: 0.3 s for nothing
    from section1 import job

    logs.configure()
    if options.command in ("replay", "backfill"):
        from section1 import replay

        if options.command == "replay":
            summary = replay.replay(task, options.run_id)
        else:
            summary = replay.backfill(task, options.first, options.last)
    else:
        summary = job.process(task)
    print(msgspec.json.encode(summary).decode() if as_json else summary.line())
    return 0


def _status(task, *, as_json: bool) -> int:  # type: ignore[no-untyped-def]
    import msgspec

    from batch.publish import Output
    from section1 import report

    output = Output(Path(task.settings.output.folder))
    output.prepare()
    status = report.status(output, task.settings)
    print(msgspec.json.encode(status).decode() if as_json else status.text())
    return 0


def _generate(options: argparse.Namespace, folder: Path) -> int:
    from batch.progress import progress
    from batch.publish import writing
    from section1.generate import generate

    with progress("generate", options.rows, unit=" rows") as bar, writing(folder):
        paths = generate(folder, options.rows, options.files, options.seed, bar.update)
    print(f"wrote {options.rows:,} applications: {', '.join(map(str, paths))}")
    return 0


def _test() -> int:
    """Run the section's tests with pytest, which is installed on first use."""
    import subprocess

    subprocess.run(["sh", str(ROOT / "batch" / "environment.sh"), "default", "develop"], check=True)
    tests = [str(ROOT / "tests" / "batch"), str(ROOT / "tests" / "section1")]
    return subprocess.run([sys.executable, "-m", "pytest", *tests], cwd=ROOT, check=False).returncode


def _exit() -> NoReturn:
    """Leave without tearing down what the engines hold; everything is flushed and on the disk by now."""
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit()
