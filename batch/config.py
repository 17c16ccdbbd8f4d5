"""YAML into typed settings; every mistake is reported with its file, its line and a suggestion."""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from batch.errors import ConfigError

T = TypeVar("T")
Lines = dict[tuple[str, ...], int]


class Document(msgspec.Struct, frozen=True):
    """A parsed YAML file that still knows on which line each key stands."""

    path: Path
    data: dict[str, Any]
    lines: Lines

    def where(self, *keys: str, offset: int = 0) -> str:
        """`file:line` of the key at this path, or of its nearest parent; `offset` lines further down."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.path}:{self.lines.get(keys, 1) + offset}"


def read(path: Path) -> Document:
    """Parse a YAML file. Raises ConfigError when it is missing, malformed or gives a key twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the configuration: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the configuration is not UTF-8 text", where=str(path)) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)  # the C parser where PyYAML was built with it
    try:
        node = loader.get_single_node()
        lines = _lines(node, path) if node else {}
        data = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"not valid YAML: {error.problem}", where=f"{path}:{line}") from error
    except (yaml.YAMLError, ValueError) as error:
        hint = 'Quote text that looks like a date: "9999-99-99".'
        raise ConfigError(f"not valid YAML: {error}", where=str(path), hint=hint) from error
    if not isinstance(data, dict):
        raise ConfigError("the configuration must be a mapping of keys", where=f"{path}:1")
    return Document(path, data, lines)


def _lines(node: yaml.Node, path: Path, at: tuple[str, ...] = ()) -> Lines:
    """The line of each key below a node; a block scalar's line is that of its first text line."""
    found: Lines = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in found:
                raise ConfigError(f"key `{key.value}` is given twice", where=f"{path}:{key.start_mark.line + 1}")
            block = isinstance(value, yaml.ScalarNode) and value.style in ("|", ">")
            found[here] = key.start_mark.line + (2 if block else 1)
            found |= _lines(value, path, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*at, str(index))
            found[here] = value.start_mark.line + 1
            found |= _lines(value, path, here)
    return found


def convert(document: Document, kind: type[T]) -> T:
    """Turn a document into settings of the given type. Raises ConfigError with file:line and a suggestion."""
    try:
        return msgspec.convert(document.data, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).removesuffix("`").partition(" - at `$")
        keys = tuple(re.findall(r"[^.\[\]]+|\.\.\.", path))
        hint = ""
        if unknown := re.search(r"unknown field `(.*)`", problem):
            keys = next((k for k in document.lines if k[-1] == unknown[1] and _fits(k[:-1], keys)), keys)
            problem = f"unknown key `{unknown[1]}`"
            hint = suggest(unknown[1], _fields(kind))
        raise ConfigError(problem, where=document.where(*keys), hint=hint) from error


def _fits(keys: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(keys) == len(pattern) and all(p in ("...", k) for k, p in zip(keys, pattern, strict=True))


def _fields(kind: Any) -> set[str]:
    """Every field name of a settings type and of the types within it."""
    found: set[str] = set()
    for field in msgspec.structs.fields(kind):
        found.add(field.encode_name)
        for inner in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                found |= _fields(inner)
    return found


def suggest(word: str, known: Iterable[str]) -> str:
    """`Did you mean ...?`, or the list of what is known where nothing is close."""
    names = sorted(known)
    if close := difflib.get_close_matches(word, names, n=1):
        return f"Did you mean `{close[0]}`?"
    return f"Known are: {', '.join(names)}."


def override(parameters: dict[str, Any], pairs: Iterable[str]) -> dict[str, Any]:
    """The parameters with `key=value` pairs from the command line laid over them, each in its YAML value's type."""
    merged = dict(parameters)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"`{pair}` is not of the form key=value", where="--sql-kwargs")
        if key not in parameters:
            raise ConfigError(f"unknown parameter `{key}`", where="--sql-kwargs", hint=suggest(key, parameters))
        merged[key] = _like(parameters[key], key, text)
    return merged


def _like(example: Any, key: str, text: str) -> Any:
    try:
        match example:
            case bool():
                return {"true": True, "false": False}[text.lower()]
            case int() | float():
                return type(example)(text)
            case date():
                return date.fromisoformat(text)
            case list():
                return text.split(",")
            case _:
                return text
    except (ValueError, KeyError) as error:
        kind = type(example).__name__
        raise ConfigError(f"`{key}` must be a {kind}, not `{text}`", where="--sql-kwargs") from error


def substitute(text: str, parameters: dict[str, Any], where: str) -> str:
    """Fill `${name}` places of an SQL text. A list becomes a regular expression: any of its words, in any case."""
    try:
        return string.Template(text).substitute({k: _literal(k, v) for k, v in parameters.items()})
    except KeyError as error:
        name = str(error.args[0])
        raise ConfigError(f"unknown parameter `${{{name}}}`", where=where, hint=suggest(name, parameters)) from error
    except ValueError as error:
        raise ConfigError(f"a lone `$`: {error}", where=where, hint="Write `$$` for a dollar sign.") from error


def _literal(key: str, value: Any) -> str:
    if isinstance(value, list):
        return "|".join("".join(map(_any_case, _literal(key, word))) for word in value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if any(c in text for c in "'\\\n;[]^"):
        raise ConfigError(f"parameter `{key}` may not contain any of ' \\ ; [ ] ^ or a line break", where="parameters")
    return text


def _any_case(character: str) -> str:
    """A regular expression for one character in either case, without the flags that engines read differently."""
    if character.isascii() and character.isalpha():
        return f"[{character.upper()}{character.lower()}]"
    return character if character.isalnum() or character in " _" else f"[{character}]"
