"""Keep a library that this process does not need from being imported by others."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec


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
