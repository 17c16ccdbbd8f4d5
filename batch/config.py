"""YAML into typed settings; every mistake is reported with its file, its line and a suggestion."""

from __future__ import annotations

import difflib
import re
import string
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import msgspec
import yaml

from batch.errors import ConfigError

T = TypeVar("T")
Lines = dict[tuple[str, ...], int]
Place = Callable[[int], str]
"""Gives `file:line` for a line of a text in the YAML; its first line is 0."""

Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_]*\Z")]


class Document(msgspec.Struct, frozen=True):
    """A parsed YAML file that still knows on which line each key stands, and which texts keep their lines (`|`)."""

    path: Path
    data: dict[str, Any]
    lines: Lines
    blocks: set[tuple[str, ...]]

    def where(self, *keys: str, line: int = 0) -> str:
        """`file:line` of the key at this path, or of its nearest parent; in a `|` block, of the block's line."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.path}:{self.lines.get(keys, 1) + (line if keys in self.blocks else 0)}"

    def place(self, *keys: str) -> Place:
        """The places of the lines of the text at this path."""
        return lambda line: self.where(*keys, line=line)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # in C where PyYAML has it
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As SafeLoader does; says where a text looks like a date or number and is none."""
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            problem = f"`{node.value}` looks like a date or a number, but {error}"
            hint = f'Put it in quotes: "{node.value}".'
            raise yaml.MarkedYAMLError(None, None, problem, node.start_mark, hint) from error


def read(path: Path) -> Document:
    """Parse a YAML file. Raises ConfigError when it is missing, malformed or gives a key twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the configuration: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError("the configuration is not UTF-8 text", where=f"{path}:{line}") from error
    lines: Lines = {}
    blocks: set[tuple[str, ...]] = set()
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node:
            _locate(node, path, (), lines, blocks)
        data = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"not valid YAML: {error.problem}", where=f"{path}:{line}", hint=error.note or "") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"not valid YAML: {error.reason}", where=f"{path}:{line}") from error
    except RecursionError as error:
        raise ConfigError("the configuration is nested too deeply", where=f"{path}:1") from error
    if not isinstance(data, dict):
        raise ConfigError("the configuration must be a mapping of keys", where=f"{path}:1")
    return Document(path, data, lines, blocks)


def _locate(node: yaml.Node, path: Path, at: tuple[str, ...], lines: Lines, blocks: set[tuple[str, ...]]) -> None:
    """Note the line of each key below a node; a block scalar's line is that of its first text line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in lines:
                raise ConfigError(f"key `{key.value}` is given twice", where=f"{path}:{key.start_mark.line + 1}")
            style = value.style if isinstance(value, yaml.ScalarNode) else None
            lines[here] = key.start_mark.line + (2 if style in ("|", ">") else 1)
            if style == "|":
                blocks.add(here)
            _locate(value, path, here, lines, blocks)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*at, str(index))
            lines[here] = value.start_mark.line + 1
            _locate(value, path, here, lines, blocks)


def convert(document: Document, kind: type[T]) -> T:
    """Turn a document into settings of the given type. Raises ConfigError with file:line and a suggestion."""
    try:
        return msgspec.convert(document.data, kind)
    except msgspec.ValidationError as error:
        problem, keys = _where(document.data, kind, str(error))
        hint = ""
        if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", problem):
            problem, hint = f"unknown key `{unknown[1]}`", suggest(unknown[1], _fields(kind, keys))
            keys = (*keys, unknown[1])
        elif missing := re.fullmatch(r"Object missing required field `(.*)`", problem):
            problem = f"key `{missing[1]}` is missing" + (f" in `{'.'.join(keys)}`" if keys else "")
        elif "matching regex" in problem:
            name = keys[-1] if " - at `key` in " in str(error) else _value(document.data, keys)
            problem = f"`{name}` is not a name; it may have letters, digits and _, and no digit first"
        raise ConfigError(problem, where=document.where(*keys), hint=hint) from error


def _where(data: dict[str, Any], kind: type[T], message: str) -> tuple[str, tuple[str, ...]]:
    """Split msgspec's message into the problem and the path of keys that it is about.

    msgspec writes `[...]` for any key of a mapping: the key is found by leaving out all the others.
    """
    problem, _, path = message.partition(" - at `")
    in_key = path.startswith("key` in `")
    path = path.removeprefix("key` in `").removeprefix("$").removesuffix("`")
    parts = re.findall(r"[^.\[\]]+|\.\.\.", path) + ["..."] * in_key
    keys: tuple[str, ...] = ()
    for part in parts:
        found = part
        if part == "...":
            for key, value in _value(data, keys).items():
                if _fails(_with(data, keys, {key: value}), kind, message):
                    found = key
                    break
        keys = (*keys, found)
    return problem, tuple(map(str, keys))


def _fails(data: Any, kind: type[T], message: str) -> bool:
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        return str(error) == message
    return False


def _value(data: Any, keys: tuple[str, ...]) -> Any:
    """What stands at a path of keys."""
    for key in keys:
        data = data[int(key)] if isinstance(data, list) else data[key]
    return data


def _with(data: Any, keys: tuple[str, ...], value: Any) -> Any:
    """The data with another value at a path of keys."""
    if not keys:
        return value
    if isinstance(data, list):
        return [_with(v, keys[1:], value) if str(n) == keys[0] else v for n, v in enumerate(data)]
    return {k: _with(v, keys[1:], value) if k == keys[0] else v for k, v in data.items()}


def _fields(kind: Any, keys: tuple[str, ...]) -> set[str]:
    """The names of the fields that the settings type at a path of keys has."""
    types = _structs(kind)
    for key in keys:
        fields = [field for struct in types for field in msgspec.structs.fields(struct) if field.encode_name == key]
        types = [inner for field in fields for inner in _structs(field.type)] or types  # a mapping's own key: its type
    return {field.encode_name for struct in types for field in msgspec.structs.fields(struct)}


def _structs(kind: Any) -> list[Any]:
    """The settings types in a type annotation."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [inner for part in get_args(kind) for inner in _structs(part)]


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
                kind = "true or false"
                return {"true": True, "false": False}[text.lower()]
            case int() | float():
                kind = "a whole number" if isinstance(example, int) else "a number"
                return type(example)(text)
            case datetime():
                kind = "a time like 2022-01-31T14:00"
                return datetime.fromisoformat(text)
            case date():
                kind = "a date like 2022-01-31"
                return date.fromisoformat(text)
            case list():
                return [word.strip() for word in text.split(",")]
            case _:
                return text
    except (ValueError, KeyError) as error:
        raise ConfigError(f"`{key}` must be {kind}, not `{text}`", where="--sql-kwargs") from error


def substitute(text: str, parameters: dict[str, Any], place: Place) -> str:
    """Fill `${name}` places of an SQL text. A list becomes a regular expression: any of its words, in any case."""

    def where(pattern: str) -> str:
        found = re.search(pattern, text)
        return place(text.count("\n", 0, found.start()) if found else 0)

    try:
        return string.Template(text).substitute({key: literal(key, value) for key, value in parameters.items()})
    except KeyError as error:
        name = str(error.args[0])
        at = where(rf"\$\{{?{name}\b")
        raise ConfigError(f"unknown parameter `${{{name}}}`", where=at, hint=suggest(name, parameters)) from error
    except ValueError as error:
        at = where(r"(?<!\$)(\$\$)*\$(?![A-Za-z_$]|\{[A-Za-z_][A-Za-z0-9_]*\})")
        raise ConfigError("a lone `$`", where=at, hint="Write `$$` for a dollar sign.") from error


def literal(key: str, value: Any, where: str = "parameters") -> str:
    """A parameter's value as it stands in SQL. Raises ConfigError where it could end a quoted text or a pattern."""
    if isinstance(value, list):
        return "|".join("".join(map(_any_case, literal(key, word, where))) for word in value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if any(c in "'\\;[]^" or unicodedata.category(c) == "Cc" for c in text):
        raise ConfigError(f"`{key}` may not contain any of ' \\ ; [ ] ^ or a control character", where=where)
    return text


def _any_case(character: str) -> str:
    """A regular expression for one character in any case, without the flags that engines read differently."""
    cases = {case for case in (character, character.upper(), character.lower()) if len(case) == 1}
    return character if cases == {character} and (character.isalnum() or character in " _") else _one_of(cases)


def _one_of(characters: set[str]) -> str:
    return f"[{''.join(sorted(characters))}]"
