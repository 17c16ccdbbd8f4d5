#!/usr/bin/env python3
"""Section 3, the cloud design of an image platform: the command line."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from batch.command_line import ended, run_tests

ROOT = Path(__file__).resolve().parent
RESULT = ROOT / "section3" / "resource" / "dest" / "simulation.json"
DESCRIPTION = "Check, simulate and draw the cloud design of an image platform. Without a command: run."
EXIT_CODES = """\
exit codes:
  0 done   1 a defect of this program; of status: nothing is served   2 usage or configuration
  4 data: the design does not hold what it promises   5 engine: Terraform, moto, Mermaid   7 the port is taken
  130 interrupted"""
COMMANDS = {
    "run": "validate, simulate, build the pages, and say where everything is (the default)",
    "simulate": "capacity, latency and cost, from section3/conf; prints them and writes simulation.json and charts",
    "validate": "Terraform's format, references and types",
    "render": "write diagrams, charts and tables into section3/ again",
    "apply-locally": "apply the design to moto, send an image through, destroy it",
    "start": "serve the pages on 127.0.0.1, port 8703 or SECTION3_PORT",
    "status": "whether the pages are served",
    "stop": "stop serving them",
}


def parser() -> argparse.ArgumentParser:
    """The command line. Options may stand before or after the command."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--json", action="store_true", help="of simulate: print the result as JSON")
    shared.add_argument("--test", action="store_true", help="run this section's tests instead; fails when one fails")
    main = argparse.ArgumentParser(
        prog="section3_manage.py",
        allow_abbrev=False,
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    commands = main.add_subparsers(dest="command", metavar="command", title="commands")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, description=text, parents=[shared], allow_abbrev=False)
    return main


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. Failures are one message on standard error, never a traceback."""
    options = parser().parse_args(arguments)
    given = vars(options)
    commands = {
        "simulate": lambda: _simulate(given.get("json", False)),
        "validate": _validate,
        "render": _render,
        "apply-locally": _apply_locally,
        "start": _start,
        "status": _status,
        "stop": _stop,
    }
    command = commands.get(options.command, _run)
    if given.get("test"):
        command = partial(run_tests, ["section3"], "cloud", "standin")
    return ended("section3", command, interrupted="interrupted", with_value=True)


def _run() -> int:
    from section3 import infrastructure, pages

    try:
        _validate()
    except infrastructure.NotInstalledError as error:
        print(f"terraform   not validated: {error}")
    _simulate(as_json=False)
    index = pages.build()
    print(f"page        {index.relative_to(ROOT)} (sh section3_runner.sh start serves it)")
    print("sources     section3/README.md, section3/diagrams, section3/terraform, section3/conf")
    return 0


def _simulate(as_json: bool) -> int:
    outcome, _ = _outcome()
    import msgspec

    from section3 import charts, tables

    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(outcome)))
    drawn = charts.draw(outcome, RESULT.parent)
    if as_json:
        print(RESULT.read_text())
        return 0
    for rate in outcome.rates:
        print(f"simulation  {tables.line(rate.result, rate.usd)}")
    print(f"figures     {', '.join(str(path.relative_to(ROOT)) for path in (RESULT, *drawn))}")
    return 0


def _outcome() -> tuple[Any, Any]:
    from section3 import outcome, settings

    workload, prices = settings.workload(), settings.prices()
    return outcome.calculate(workload, prices), prices


def _validate() -> int:
    from section3 import infrastructure

    infrastructure.validate()
    print(f"terraform   {infrastructure.SOURCE.relative_to(ROOT)} is valid")
    return 0


def _render() -> int:
    from section3 import charts, drawing, pages

    outcome, prices = _outcome()
    stale = [name for name in drawing.DIAGRAMS if not drawing.is_current(name)]
    for name in stale:
        drawing.draw(name)
    drawn = charts.draw(outcome, pages.FOLDER)
    pages.PAGE.write_text(pages.fill(pages.PAGE.read_text(), pages.diagrams() | pages.parts(outcome, prices)))
    for path in (*map(drawing.picture, stale), *drawn, pages.PAGE):
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


def _apply_locally() -> int:
    import tempfile

    from batch.progress import progress
    from section3 import stand_in

    with (
        tempfile.TemporaryDirectory() as folder,
        progress("apply-locally", 4, unit=" steps") as bar,
        stand_in.moto() as address,
    ):
        work = Path(folder)
        stand_in.apply(work, address)
        bar.update(1)
        created = len(stand_in.resources(work))
        stand_in.assert_settled(work, address)
        bar.update(1)
        key = stand_in.send_image(address)
        bar.update(1)
        stand_in.destroy(work, address)
        bar.update(1)
    print(f"applied {created} resources to moto; a second plan is empty; the event of {key} arrived; all destroyed")
    refused = ", ".join(stand_in.REFUSED)
    print(f"not applied, as moto cannot (section3/terraform/variables.tf quotes it): {refused}")
    return 0


def _start() -> int:
    from section3 import pages, serve

    if not serve.running():
        pages.build()
    print(f"the pages are at {serve.start()}\n  stop: sh section3_runner.sh stop")
    return 0


def _status() -> int:
    from section3 import serve

    if port := serve.running():
        print(f"the pages are at http://127.0.0.1:{port}/")
        return 0
    print("nothing is served; start it: sh section3_runner.sh start")
    return 1


def _stop() -> int:
    from section3 import serve

    print("stopped" if serve.stop() else "nothing is served; nothing to stop")
    return 0


if __name__ == "__main__":
    sys.exit(main())
