#!/usr/bin/env python3
"""Section 5, car prices: the command line of the price model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.command_line import ended, run_tests, say

if TYPE_CHECKING:
    from section5.settings import Settings

ROOT = Path(__file__).resolve().parent
ASKED = "asked_"  # what the command line calls the attributes, lest `--class` is mistaken for something else
DESCRIPTION = """\
Infer the buying price of a car from what else is known of it. Without a command:
train, compare the models, and answer the question in the YAML."""
EXIT_CODES = """\
exit codes:
  0 done   1 a defect of this program   2 usage, configuration or an unknown value
  3 input: the data or the model cannot be used   4 the guard: a model is too good or worse than nothing
  5 a package is missing   6 a file cannot be written   130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """The command line. Options may stand before or after the command."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    option = shared.add_argument
    option("--task-config", metavar="FILE", help="YAML: a path, or a name in section5/conf (section5_process.yaml)")
    option("--input", metavar="FILE", help="data in place of the YAML's")
    option("--model", metavar="FILE", help="the model's file in place of the YAML's")
    option("--json", action="store_true", help="print the result as JSON")
    option("--test", action="store_true", help="run this section's tests instead; fails when one fails")

    main = argparse.ArgumentParser(
        prog="section5_manage.py",
        allow_abbrev=False,
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    commands = main.add_subparsers(dest="command", metavar="command", title="commands")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[shared], allow_abbrev=False)

    command("run", "train, evaluate, predict what the YAML asks (the default)")
    command("generate", "make the data file from the rules; a file that is there must be the same")
    command("train", "fit the model, judge it and keep it")
    command("evaluate", "compare all models on grouped folds; fails when one is too good to be true")
    asked = command("predict", "the price of a car of which some or none of these are known")
    for name, values in (
        ("maint", "vhigh, high, med, low"),
        ("doors", "2, 3, 4, 5more"),
        ("persons", "2, 4, more"),
        ("lug-boot", "small, med, big"),
        ("safety", "low, med, high"),
        ("class", "unacc, acc, good, vgood"),
    ):
        asked.add_argument(f"--{name}", dest=ASKED + name.replace("-", "_"), metavar="VALUE", help=values)
    command("report", "execute the notebook and write it and its HTML page")
    served = command("serve", "answer POST /predict over HTTP")
    served.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    served.add_argument("--port", type=_port, default=8585, help="default: 8585; 0 takes a free one")
    return main


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= 65535):
        raise argparse.ArgumentTypeError(f"`{text}` is no port; take one from 0 to 65535")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. Failures are one message on standard error, never a traceback."""
    options = parser().parse_args(arguments)

    def command() -> int:
        if vars(options).get("test"):
            return run_tests(["section5"], "classifier", "notebook", "predict")
        return _command(options)

    return ended(
        "section5",
        command,
        interrupted="interrupted; the last model is still in place",
        installs="sh section5_runner.sh run ... (with this command) installs what is needed.",
    )


def _command(options: argparse.Namespace) -> int:
    from section5 import settings

    given = vars(options)
    chosen = settings.load(
        given.get("task_config", "section5_process.yaml"), data=given.get("input", ""), model=given.get("model", "")
    )
    if options.command == "serve":
        from section5 import server

        return server.serve(chosen, options.host, options.port)

    text, result = _result(chosen, options)

    import msgspec

    say(msgspec.json.encode(result).decode() if given.get("json") else text)
    return 0


def _result(chosen: Settings, options: argparse.Namespace) -> tuple[str, Any]:
    from section5 import job

    if options.command == "generate":
        return job.generate(chosen)
    if options.command == "report":
        from section5 import report

        return report.write(chosen)
    data = job.data(chosen)
    if options.command == "predict":
        asked = {name: value for name, value in vars(options).items() if name.startswith(ASKED) and value is not None}
        return job.predict(chosen, data, {name.removeprefix(ASKED): value for name, value in asked.items()})
    steps = {"train": job.train, "evaluate": job.compare, "run": job.run}
    return steps[options.command or "run"](chosen, data)


if __name__ == "__main__":
    sys.exit(main())
