"""The trained model as a plain file.

There are 1,728 combinations of the attributes, so all that the model will ever say is a table of as many rows: it is
kept as JSON. Reading it runs nothing, needs no scikit-learn and gives the same numbers as the estimator.
"""

from __future__ import annotations

import hashlib
import math
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from batch.errors import InputError, PublishError
from section5.data import Data
from section5.settings import Inverse

if TYPE_CHECKING:
    import numpy as np

FORMAT: Literal[1] = 1
LIBRARIES = ("numpy", "scikit-learn")
DIGITS = 7  # of a probability
LARGEST = 4 << 20  # bytes; a model has 60 kB
TRAIN_AGAIN = "Train again: sh section5_runner.sh run train"


class Artefact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the file holds. `likelihood` is P(class | attributes), a row for each combination in the schema's order."""

    format: Literal[1] = FORMAT
    columns: dict[str, list[str]]
    data_sha256: str
    libraries: dict[str, str]
    settings: Inverse
    metrics: dict[str, float]
    likelihood: list[list[float]]
    checksum: str = ""


def make(data: Data, likelihood: np.ndarray[Any, Any], settings: Inverse, metrics: dict[str, float]) -> Artefact:
    """The artefact of a model; the same training gives the same one."""
    return _sealed(
        Artefact(
            columns=data.schema.columns,
            data_sha256=data.sha256,
            libraries=libraries(),
            settings=settings,
            metrics=metrics,
            likelihood=[[round(float(p), DIGITS) for p in row] for row in likelihood],
        )
    )


def libraries() -> dict[str, str]:
    """The versions of what the training depends on."""
    return {name: version(name) for name in LIBRARIES}


def save(artefact: Artefact, path: Path) -> bool:
    """Write the file in one step; False where it is there already, the same. Raises PublishError."""
    raw = msgspec.json.encode(artefact) + b"\n"
    try:
        if path.is_file() and path.read_bytes() == raw:
            return False
        write(path, raw)
    except OSError as error:
        raise PublishError(f"cannot write the model: {error.strerror}", where=str(path)) from error
    return True


def write(path: Path, raw: bytes) -> None:
    """Write a file so that a reader, or a crash, finds the whole old one or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path, data: Data) -> Artefact:
    """Read a model that was trained on this data, with these columns and libraries.

    Raises InputError for every other file, saying what does not match.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise InputError("this is no model: it is too large", where=str(path), hint=TRAIN_AGAIN)
        artefact = msgspec.json.decode(raw, type=Artefact)
    except FileNotFoundError as error:
        hint = TRAIN_AGAIN.replace(" again", "")
        raise InputError("there is no model yet", where=str(path), hint=hint) from error
    except OSError as error:
        raise InputError(f"cannot read the model: {error.strerror}", where=str(path)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"this is no model of this program: {error}", where=str(path), hint=TRAIN_AGAIN) from error
    if mismatch := _mismatch(artefact, data):
        raise InputError(mismatch, where=str(path), hint=TRAIN_AGAIN)
    return artefact


def _mismatch(artefact: Artefact, data: Data) -> str:
    """Why the artefact must not be used; empty where it may."""
    if artefact != _sealed(artefact):
        return "the model is damaged: its checksum is not that of its content"
    if list(artefact.columns.items()) != list(data.schema.columns.items()):
        return "the model has other columns or values than the rules"
    if artefact.data_sha256 != data.sha256:
        return f"the model was trained on the data {artefact.data_sha256[:12]}, and this is {data.sha256[:12]}"
    for name, here in libraries().items():
        if (there := artefact.libraries.get(name)) != here:
            return f"the model was trained with {name} {there}, and this is {here}"
    *attributes, classes = data.schema.shape
    rows = artefact.likelihood
    if len(rows) != math.prod(attributes) or any(
        len(row) != classes or min(row) < 0 or not math.isclose(sum(row), 1, abs_tol=10**-DIGITS * 10) for row in rows
    ):
        return "the model's probabilities are not those of its columns"
    return ""


def _sealed(artefact: Artefact) -> Artefact:
    """The artefact with the SHA-256 of all the rest of it."""
    content = msgspec.json.encode(msgspec.structs.replace(artefact, checksum=""))
    return msgspec.structs.replace(artefact, checksum=hashlib.sha256(content).hexdigest())
