"""The ways a job can fail, each with its own exit code.

| code | meaning                                                        |
|------|----------------------------------------------------------------|
| 0    | done; also when nothing was new, or when rows were rejected    |
| 2    | usage or configuration                                         |
| 3    | input: a folder or file that must be there cannot be read      |
| 4    | data: the ledger of rows and bytes does not balance            |
| 5    | engine: DuckDB, Spark or Java failed or is missing             |
| 6    | publish: the outputs could not be written or switched          |
| 7    | busy: another run holds the lock                               |
"""

from __future__ import annotations


class BatchError(Exception):
    """A failure that a person can act on: what happened, where, and what to do next."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  {self.hint}" if self.hint else text


class ConfigError(BatchError):
    """A wrong argument or a wrong line in a configuration file."""

    exit_code = 2


class InputError(BatchError):
    """An input folder or file that must be there cannot be read."""

    exit_code = 3


class DataError(BatchError):
    """Rows or bytes went missing between input and output; nothing was published."""

    exit_code = 4


class EngineError(BatchError):
    """The engine that evaluates the SQL failed or is not installed."""

    exit_code = 5


class PublishError(BatchError):
    """The outputs could not be written; the last published pair is still in place."""

    exit_code = 6


class BusyError(BatchError):
    """Another run is going on."""

    exit_code = 7
