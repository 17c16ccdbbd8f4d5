"""The Spark session: installed on first use, quick to start, and ended with its Java."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from batch import imports
from batch.errors import EngineError
from section1.class_archive import Archive
from section1.judge import COMPILED
from section1.settings import ENDPOINT, REGION, ROOT, Settings

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

JAVA = 17
SMALL = 64 << 20  # bytes; with up to a million records the start outweighs the work
TINY = 8 << 20  # bytes; a hundred thousand records are judged before Spark has compiled the statement
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
FAST_JAVA = "-XX:+UseParallelGC"
SILENT_JAVA = "-Dlog4j2.level=OFF"  # workers keep and show what executors print, and Spark's errors quote values
PATIENCE = 120  # seconds
NO_MASTER = "Is it running, and is its address right? Or run with --engine duckdb."
NO_WORKER = (
    "Are its workers alive, with spark.executor.memory (1g) free? The master's page says. Or run with --engine duckdb."
)
NO_JAVA = "Install Java: apt-get install openjdk-17-jre-headless. Or run with --engine duckdb."
_ending: list[Thread] = []  # at most one that is not over


@contextmanager
def session(settings: Settings, size: int = 0, meanwhile: Callable[[], None] = lambda: None) -> Iterator[SparkSession]:
    """Spark as configured, ended with its Java; where a session is active already, that one, which stays.

    `size` is that of the input in bytes: a small one is not worth the best compilers. `meanwhile` is called while
    Spark starts, and has returned when there is a session.

    Raises EngineError where Spark cannot be started.
    """
    _install()
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    for name in ("py4j", "SQLQueryContextLogger", "DataFrameQueryContextLogger"):  # they print values
        logging.getLogger(name).disabled = True
    import pyspark
    from pyspark.sql import SparkSession

    while _ending:
        _ending.pop().join()
    active = SparkSession.getActiveSession()
    if active is not None:
        meanwhile()
        yield active
        return
    archive = Archive(_find_java(), os.path.dirname(pyspark.__file__), COMPILED)
    with ExitStack() as stack:
        context = _started(settings, size, archive, meanwhile, stack)
        if not settings.spark.master.startswith("local"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="section1-"))
            context.addPyFile(_packed(folder))
            _wait_for_workers(context)
        yield SparkSession(context)


def _started(
    settings: Settings, size: int, archive: Archive, meanwhile: Callable[[], None], stack: ExitStack
) -> SparkContext:
    """Start Spark in a thread, with something to do in this one; the stack ends it."""
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(_start, settings, size, archive.options())
        stack.callback(lambda: None if starting.exception() else _end(starting.result(), archive))
        meanwhile()
        return starting.result()


def _start(settings: Settings, size: int, archive: str) -> SparkContext:
    """Start the JVM and in it Spark. What Java prints goes to a file that nobody sees unless the start fails."""
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway

    _check_master(settings.spark.master)
    conf = SparkConf(loadDefaults=False).set("spark.driver.defaultJavaOptions", archive)
    conf.setAll(list(configuration(settings, size).items()))
    os.environ["PYSPARK_PYTHON"] = conf.get("spark.pyspark.python", None) or os.environ.get(
        "PYSPARK_PYTHON", sys.executable
    )
    os.environ.setdefault("SPARK_LAUNCHER_OPTS", QUICK_JAVA)
    if settings.spark.master.startswith("local"):  # then nothing depends on what this machine's name resolves to
        os.environ.setdefault("SPARK_LOCAL_HOSTNAME", "localhost")
    with tempfile.TemporaryFile() as printed:
        try:
            gateway = launch_gateway(conf, {"stdout": printed, "stderr": printed})  # type: ignore[no-untyped-call]
        except PySparkException as error:
            printed.seek(0)
            raise _not_started(printed.read().decode(errors="replace")) from error
        try:
            return SparkContext(conf=conf, gateway=gateway)
        except (Py4JError, PySparkException) as error:
            gateway.shutdown()
            what = str(error).partition("\n\tat ")[0].splitlines()[-1]
            raise EngineError(f"Spark did not start: {what}", hint=f"Its master is {settings.spark.master}.") from error


def _end(context: SparkContext, archive: Archive) -> None:
    """End Spark and its JVM in a thread: pyspark sleeps most of a second meanwhile, and nobody needs to wait for that.

    A process that ends before closes the JVM's input, which ends it, too.
    """
    thread = Thread(target=_stop, args=[context, archive], daemon=True)
    thread.start()
    _ending.append(thread)
    if archive.making:
        thread.join()


def _stop(context: SparkContext, archive: Archive) -> None:
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    context.stop()
    assert gateway is not None
    gateway.shutdown()
    gateway.proc.stdin.close()
    SparkContext._gateway = SparkContext._jvm = None  # a later session of this process starts a JVM of its own
    if archive.making:
        archive.keep(gateway.proc)


def _check_master(master: str) -> None:
    """Raise EngineError where no master of a standalone cluster (spark://host:port,host:port) can be reached.

    Spark itself would try for a minute, and then end in ways that leave its caller waiting.
    """
    if not master.startswith("spark://"):
        return
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
            return
        except (OSError, ValueError):
            continue
    raise EngineError(f"Spark's master {master} cannot be reached", hint=NO_MASTER)


def _wait_for_workers(context: SparkContext) -> None:
    """Wait for a cluster's first executor: Spark itself waits for ever, and does not know the cores before.

    Raises EngineError where none comes.
    """
    from py4j.protocol import Py4JError

    master, end = context.master, time.monotonic() + PATIENCE
    try:
        while context._jsc.sc().getExecutorMemoryStatus().size() < 2:  # the driver counts
            if time.monotonic() > end:
                raise EngineError(f"no worker of {master} took the job within {PATIENCE} s", hint=NO_WORKER)
            time.sleep(0.05)
    except (Py4JError, OSError) as error:
        raise EngineError(f"Spark's master {master} went away", hint=NO_MASTER) from error


def configuration(settings: Settings, size: int) -> dict[str, str]:
    """Spark's settings: ours, with those of the YAML over them."""
    java = f"{QUICK_JAVA if size <= SMALL else FAST_JAVA} -XX:-DontCompileHugeMethods"
    if settings.spark.master.startswith("local"):
        place = {
            "spark.driver.extraJavaOptions": java,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executorEnv.PYTHONPATH": str(ROOT),
        }
    else:
        place = {
            "spark.driver.extraJavaOptions": QUICK_JAVA,
            "spark.executor.extraJavaOptions": f"{java} {SILENT_JAVA}",
            **{f"spark.executorEnv.{name}": os.environ[name] for name in (ENDPOINT, REGION) if name in os.environ},
        }
    return {
        "spark.app.name": "section1",
        "spark.master": settings.spark.master,
        "spark.log.level": "ERROR",
        "spark.ui.enabled": os.environ.get("SECTION1_UI", "false"),  # the container publishes its port then
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.codegen.wholeStage": str(size > TINY).lower(),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),  # no limit: it would be checked at each row
        **place,
        **settings.spark.conf,
    }


def _install() -> None:
    """Install what Spark needs on first use. Raises EngineError where that fails."""
    if not imports.install("spark", "pyspark", "pandas"):
        raise EngineError(
            "pyspark is not installed",
            hint="Install it: sh batch/environment.sh spark. Or run with --engine duckdb.",
        )


def _find_java() -> str:
    """The path of Java's program. Raises EngineError where there is none."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if java is None:
        at = f" in JAVA_HOME ({home})" if home else ""
        raise EngineError(f"Spark needs Java {JAVA} or newer, and there is none{at}", hint=NO_JAVA)
    return java


def _not_started(printed: str) -> EngineError:
    """Why the JVM ended before it answered."""
    version = subprocess.run([_find_java(), "-version"], capture_output=True, text=True, check=False).stderr
    number = re.search(r'version "(?:1\.)?(\d+)', version)
    if number and int(number[1]) < JAVA:
        return EngineError(f"Spark needs Java {JAVA} or newer, this is {number[1]}", hint=NO_JAVA)
    return EngineError(
        f"Spark did not start: {_reason(printed) or 'Java ended without a word'}",
        hint="Look at the spark section of the task's configuration.",
    )


def _reason(printed: str) -> str:
    """The line that matters of what Java printed before it ended: the innermost cause, or the first complaint."""
    causes = re.findall(r"^Caused by: (.*\S)", printed, re.MULTILINE)
    lines = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("WARNING")]
    complaints = [line for line in lines if re.search("error|exception|unrecognized", line, re.IGNORECASE)]
    return next(iter([*causes[-1:], *complaints, *lines[-1:]]), "")


def _packed(folder: str) -> str:
    """The packages that the workers import, as a zip file in a folder."""
    path = os.path.join(folder, "section1.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for package in ("batch", "section1"):
            for file in sorted((ROOT / package).glob("*.py")):
                archive.write(file, f"{package}/{file.name}")
    return path
