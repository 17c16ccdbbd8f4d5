"""Libraries that only some runs need: kept from being imported, or installed on first use."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

ROOT = Path(__file__).parent.parent


class _Refused:
    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname == self.name:
            raise ModuleNotFoundError(f"{fullname} is not used in this process", name=fullname)
        return None


def refuse(name: str) -> None:
    """Let `import name` fail from now on. For optional libraries that others import wherever they are installed."""
    sys.meta_path.insert(0, _Refused(name))


def install(category: str, *packages: str) -> bool:
    """Install a category of Pipfile.lock into .venv where its packages are missing; returns whether they are there.

    Another environment than .venv is its owner's business and is left alone.
    """
    if all(map(importlib.util.find_spec, packages)):
        return True
    if Path(sys.prefix) == ROOT / ".venv":
        import subprocess

        subprocess.run(["sh", str(ROOT / "batch" / "environment.sh"), category], check=False)
        importlib.invalidate_caches()
    return all(map(importlib.util.find_spec, packages))
