"""The configuration: YAML into typed settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from batch import config
from batch.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "section5" / "conf"

Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How models are compared."""

    folds: Annotated[int, msgspec.Meta(ge=2, le=144)]
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    noise: Positive


class Inverse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model of the class: interactions of how many attributes, and scikit-learn's C."""

    interactions: Annotated[int, msgspec.Meta(ge=1, le=6)]
    strength: Positive


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`section5_process.yaml`. Paths are below the project's root unless they are absolute."""

    rules: str
    data: str
    model: str
    report: str
    evaluation: Evaluation
    inverse: Inverse
    query: dict[str, str]

    def path(self, name: str) -> Path:
        """Where the file of a setting is."""
        return ROOT / str(getattr(self, name))


def load(task_config: str = "section5_process.yaml", *, data: str = "", model: str = "") -> Settings:
    """Read the YAML at a path, or of a name in section5/conf; `data` and `model` stand in place of its own paths.

    Raises ConfigError, with the file and line of a mistake in it.
    """
    path = Path(task_config)
    if not path.exists() and path.name == task_config and (CONF / task_config).exists():
        path = CONF / task_config
    settings = config.convert(config.read(path), Settings)
    given = {name: str(Path(value).resolve()) for name, value in (("data", data), ("model", model)) if value}
    if len(set(given.values())) < len(given):
        raise ConfigError("the data and the model cannot be one file", where="--model")
    return msgspec.structs.replace(settings, **given)
