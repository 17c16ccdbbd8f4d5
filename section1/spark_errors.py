"""What a failing Spark says: one line, and nothing in it that may be somebody's data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from batch.errors import EngineError

SQL = "Look at the query and the rules of the task's configuration."
MEMORY = "Is there enough memory? Then run again."
WORKERS = (
    "Every worker needs Python with the packages of Pipfile.lock, and the input and output folders on these paths."
)


@contextmanager
def errors_of_spark() -> Iterator[None]:
    """Report a failing job as an EngineError: one line, and nothing in it that may be somebody's data.

    Spark's own messages quote values, so only the names of errors and the text of the statement are shown.
    """
    from py4j.protocol import Py4JError, Py4JJavaError
    from pyspark.errors import AnalysisException, PySparkException, PythonException

    try:
        yield
    except PythonException as error:
        raise EngineError(f"a Python worker of Spark failed: {_last_call(str(error))}", hint=WORKERS) from error
    except AnalysisException as error:
        what = str(error).strip().partition(" SQLSTATE")[0].splitlines()[0]
        raise EngineError(f"Spark refused the statement: {what}", hint=SQL) from error
    except PySparkException as error:
        at = "".join(f" at `{' '.join(context.fragment().split())}`" for context in error.getQueryContext()[:1])
        raise EngineError(f"Spark refused the statement: {error.getCondition()}{at}", hint=SQL) from error
    except Py4JJavaError as error:
        raise EngineError(f"Spark's job failed: {_last_failure(str(error))}", hint=f"{SQL} {MEMORY}") from error
    except (Py4JError, OSError) as error:
        raise EngineError("Spark's Java process ended in mid-run", hint=MEMORY) from error


def _last_call(text: str) -> str:
    """The error at the end of a worker's traceback and where it was raised."""
    frames = list(re.finditer(r'^  File "([^"]*)", line (\d+)', text, re.MULTILINE))
    if not frames:
        return "see the worker's log"
    error = re.search(r"^[A-Za-z_][\w.]*", text[frames[-1].end() :], re.MULTILINE)
    return f"{error[0] if error else 'an error'} at {frames[-1][1]}:{frames[-1][2]}"


def _last_failure(text: str) -> str:
    """What Spark says of the task that made a job fail: the name of the error, without its message."""
    found = re.search(r"most recent failure: [^\n]*?\): (.*)", text)
    if found and found[1].startswith("ExecutorLostFailure"):
        return "a worker was lost again and again"
    if "Python worker exited unexpectedly" in text:
        return "a Python worker was killed"
    names = re.findall(r"[\w.$]+(?:Exception|Error)\b", found[1] if found else text)
    return names[0] if names else "for an unknown reason"
