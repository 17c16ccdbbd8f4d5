#!/usr/bin/env python3
"""Section 1, membership applications: the command line of the hourly job."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from batch.command_line import count, ended, run_tests, say

if TYPE_CHECKING:
    from section1.report import Summary
    from section1.settings import Task

ROOT = Path(__file__).resolve().parent
DESCRIPTION = """\
Judge the membership applications that are new in the input folder and publish
one folder of successful and one of unsuccessful ones. Without a command: run."""
EXIT_CODES = """\
exit codes:
  0 done (also: nothing new, rows rejected)   1 a defect of this program; of health: not well
  2 usage or configuration   3 input   4 data does not balance   5 engine
  6 publish   7 busy   130 interrupted"""


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
    option("--test", action="store_true", help="run this section's tests instead; fails when one fails")

    main = argparse.ArgumentParser(
        prog="section1_manage.py",
        allow_abbrev=False,
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    commands = main.add_subparsers(dest="command", metavar="command", title="commands")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[shared], allow_abbrev=False)

    command("run", "judge and publish what is new (the default)")
    command("dry-run", "check the configuration and say what would run; starts no engine, writes nothing")
    one = command("replay", "judge one run's rejected rows again and publish those that pass now")
    one.add_argument("run_id", metavar="RUN_ID", help="as `status` lists it")
    many = command("backfill", "replay all runs that started in a range of days")
    many.add_argument("--from", dest="first", metavar="TIME", required=True, help="first day or time, ISO 8601, UTC")
    many.add_argument("--to", dest="last", metavar="TIME", required=True, help="last day or time, included")
    command("status", "what the ledger knows: last success, counts, data age, next run")
    well = command("health", "whether the job is well, in one line; exit code 1 when it is not")
    well.add_argument("--notify", action="store_true", help="call whom the YAML's alerts name, once per incident")
    made = command("generate", "write look-alike applications: into --output, or the YAML's input folder")
    made.add_argument("--rows", type=count, default=5000, help="how many applications (default: 5000)")
    made.add_argument("--files", type=_some, default=2, help="in how many files (default: 2)")
    made.add_argument("--seed", type=count, default=1, help="the same seed gives the same files (default: 1)")
    return main


def _some(text: str) -> int:
    if (number := count(text)) < 1:
        raise argparse.ArgumentTypeError("at least one is needed")
    return number


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options. Pairs after `--sql-kwargs` end at the first word without `=`, so that a command may follow."""
    pairs: list[str] = []
    others: list[str] = []
    taking = first = False
    for word in arguments:
        if word == "--sql-kwargs":
            taking = first = True
        elif word.startswith("--sql-kwargs="):
            pairs.append(word.removeprefix("--sql-kwargs="))
            taking, first = True, False
        elif taking and not word.startswith("-") and ("=" in word or first):
            pairs.append(word)
            first = False
        else:
            others += ["--sql-kwargs"] * first + [word]
            taking = first = False
    others += ["--sql-kwargs"] * first  # without any pair: let argparse say what is missing
    options = parser().parse_args(others)
    options.sql_kwargs = pairs
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. Failures are one message on standard error, never a traceback."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o027)

    def command() -> int:
        if vars(options).get("test"):
            return run_tests(["batch", "section1"])
        return _command(options)

    return ended("section1", command, interrupted="interrupted; the last published pair is still in place")


def _command(options: argparse.Namespace) -> int:
    from section1 import settings

    generating = options.command == "generate"
    given = vars(options)
    task = settings.load(
        given.get("task_config", "section1_process.yaml"),
        options.sql_kwargs,
        engine=given.get("engine", ""),
        source=given.get("input", ""),
        destination="" if generating else given.get("output", ""),
    )
    if generating:
        text, result = _generate(options, given.get("output") or task.settings.input.folder)
    elif options.command == "status":
        text, result = _status(task)
    elif options.command == "health":
        return _health(task, options)
    elif options.command == "dry-run":
        from section1 import dry_run

        plan = dry_run.plan(task)
        text, result = plan.text(), plan
    else:
        summary = _run(task, options)
        text, result = summary.line(), summary

    import msgspec

    say(msgspec.json.encode(result).decode() if given.get("json") else text)
    return 0


def _run(task: Task, options: argparse.Namespace) -> Summary:
    from batch import imports, logs

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start threads for what is not done here
    if os.uname().machine == "x86_64":  # elsewhere pyarrow may be built without it
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")  # keeps the least of what is free
    if task.settings.engine_name == "duckdb":
        imports.refuse("pandas")  # pyarrow and duckdb import it where it is installed: 0.3 s for nothing
        # One arena gives a thread what another one has freed; back to the kernel, its pages would be cleared each time.
        os.environ.setdefault("JE_ARROW_MALLOC_CONF", "narenas:1,dirty_decay_ms:-1,background_thread:false")
    logs.configure()
    if options.command in ("replay", "backfill"):
        from section1 import replay

        if options.command == "replay":
            return replay.replay(task, options.run_id)
        return replay.backfill(task, options.first, options.last)
    from section1 import job

    return job.process(task)


def _status(task: Task) -> tuple[str, Any]:
    import msgspec

    from section1 import health, outputs, report

    output = outputs.configured(task.settings)
    output.look()
    status = report.status(output, task)
    how = health.check(output, task.settings)
    return f"{status.text()}\nhealth         {how.line()}", msgspec.to_builtins(status) | {"health": how}


def _health(task: Task, options: argparse.Namespace) -> int:
    import msgspec

    from section1 import health, outputs

    output = outputs.configured(task.settings)
    how = health.check(output, task.settings)
    problems = health.tell(how, output, task.settings, ROOT) if options.notify else []
    say(msgspec.json.encode(how).decode() if vars(options).get("json") else "; ".join([how.line(), *problems]))
    return 0 if how.healthy else 1


def _generate(options: argparse.Namespace, folder: str) -> tuple[str, Any]:
    from batch.errors import ConfigError
    from batch.progress import progress
    from batch.publish import writing
    from batch.s3_url import is_url
    from section1.generate import generate

    if is_url(folder):
        raise ConfigError(
            "generate writes to folders only",
            where=folder,
            hint=f"Name one with --output DIR, then: aws s3 cp --recursive DIR {folder.replace('s3a:', 's3:')}",
        )
    with progress("generate", options.rows, unit=" rows") as bar, writing(Path(folder)):
        paths = generate(Path(folder), options.rows, options.files, options.seed, bar.update)
    names = [str(path) for path in paths]
    return f"wrote {options.rows:,} applications: {', '.join(names)}", {"rows": options.rows, "files": names}


def _exit() -> NoReturn:
    """Leave without tearing down what the engines hold; everything is flushed and on the disk by now."""
    try:
        code = main()
    except SystemExit as ended:  # argparse has said what there is to say
        code = ended.code if isinstance(ended.code, int) else 2
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass
    os._exit(code)


if __name__ == "__main__":
    _exit()
