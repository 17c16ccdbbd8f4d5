"""What tflint's rules for the language ask of a module, as far as `terraform validate` does not; by tflint's names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

BLOCK = re.compile(
    r'^(variable|output|locals|resource|data|module|provider|terraform) ?(?:"([^"]+)")? ?(?:"([^"]+)")? ?\{\n(.*?)^\}',
    re.MULTILINE | re.DOTALL,
)
NAME = re.compile(r"[a-z][a-z0-9_]*")
PINNED = re.compile(r'= "(~> \d|>= \d)[\d.]*(, < [\d.]+)?"')
Files = dict[str, str]
"""A module: its files' names and texts."""


def blocks(files: Files, *kinds: str) -> Iterator[tuple[str, str, str, str]]:
    """File, first and second label, and body of each block of these kinds."""
    for file, text in files.items():
        for kind, first, second, body in BLOCK.findall(text):
            if kind in kinds:
                yield file, first, second, body


def documented_and_typed(files: Files) -> Iterator[str]:
    """terraform_documented_variables, terraform_documented_outputs, terraform_typed_variables."""
    for _, name, _, body in blocks(files, "variable", "output"):
        if not re.search(r"^  description += (\"[^\"]|<<)", body, re.MULTILINE):
            yield f"{name} has no description"
    for _, name, _, body in blocks(files, "variable"):
        if not re.search(r"^  type +=", body, re.MULTILINE):
            yield f"variable {name} has no type"


def used(files: Files) -> Iterator[str]:
    """terraform_unused_declarations, terraform_unused_required_providers."""
    whole = "\n".join(files.values())
    declared = [f"var.{name}" for _, name, _, _ in blocks(files, "variable")]
    declared += [f"data.{kind}.{name}" for _, kind, name, _ in blocks(files, "data")]
    for _, _, _, body in blocks(files, "locals"):
        declared += [f"local.{name}" for name in re.findall(r"^  (\S+) +=", body, re.MULTILINE)]
    for _, _, _, body in blocks(files, "provider"):
        declared += [f"aws.{alias}" for alias in re.findall(r'^  alias += "(\w+)"', body, re.MULTILINE)]
    for name in declared:
        if not re.search(rf"\b{re.escape(name)}\b", whole):
            yield f"{name} is not used"
    for provider in providers(files) - {kind.split("_")[0] for _, kind, _, _ in blocks(files, "resource", "data")}:
        if f'provider "{provider}"' not in whole:
            yield f"provider {provider} is not used"


def providers(files: Files) -> set[str]:
    """The providers that a module requires."""
    bodies = "\n".join(body for _, _, _, body in blocks(files, "terraform"))
    return set(re.findall(r"^    (\w+) = \{", bodies, re.MULTILINE))


def pinned(files: Files) -> Iterator[str]:
    """terraform_required_version, terraform_required_providers: of the root, which the modules follow."""
    body = "\n".join(body for _, _, _, body in blocks(files, "terraform"))
    if not re.search(r"^  required_version " + PINNED.pattern, body, re.MULTILINE):
        yield "no required_version"
    if not re.search(r'source += "[^"]+"\n +version ' + PINNED.pattern, body):
        yield "a required provider has no source or no version"
    for _, kind, name, _ in blocks(files, "resource", "data", "provider"):
        if (provider := kind.split("_")[0]) not in providers(files):
            yield f"{kind} {name}: provider {provider} is not required"


def named(files: Files) -> Iterator[str]:
    """terraform_naming_convention: snake_case."""
    names = [name for _, first, second, _ in blocks(files, "variable", "output", "resource", "data", "module")
             for name in (first, second) if name]  # fmt: skip
    for _, _, _, body in blocks(files, "locals"):
        names += re.findall(r"^  (\S+) +=", body, re.MULTILINE)
    yield from (f"{name} is not snake_case" for name in names if not NAME.fullmatch(name))


OUTDATED = {
    r'= "\$\{[^}"]*\}"$': "terraform_deprecated_interpolation",
    r"[a-z_\])]\.(\d|\*\.)": "terraform_deprecated_index",
    r"\blookup\([^,()]+,[^,()]+\)": "terraform_deprecated_lookup",
    r"[=!]= \[\]": "terraform_empty_list_equality",
    r"^\s*(//|/\*)": "terraform_comment_syntax",
}


def modern(files: Files) -> Iterator[str]:
    """No syntax of the past."""
    for file, text in files.items():
        for line in text.splitlines():
            code = re.sub(r'"[^"$]*"', '""', line.split(" #")[0])  # neither versions and names nor comments
            yield from (f"{file}: {rule}: {line.strip()}" for form, rule in OUTDATED.items() if re.search(form, code))


def in_its_file(files: Files) -> Iterator[str]:
    """terraform_standard_module_structure; what is long stands in files by topic instead of main.tf."""
    for kind in ("variable", "output"):
        for file, name, _, _ in blocks(files, kind):
            if file not in (f"{kind}s.tf", "components.tf"):
                yield f"{kind} {name} is in {file}"


def resources_named(files: Files) -> Iterator[str]:
    """No statement that allows something on every resource; in a key's own policy `*` is that key."""
    for file, text in files.items():
        key_policies = [body for _, first, second, body in blocks({file: text}, "data") if second.endswith("_key")]
        for line in text.splitlines():
            open_ended = re.search(r'resources? += (\["\*"\]|"\*")', line)
            if (
                open_ended
                and "ecr:GetAuthorizationToken" not in line
                and not any(line in body for body in key_policies)
            ):
                yield f"{file}: {line.strip()}"


RULES: tuple[Callable[[Files], Iterator[str]], ...] = (
    documented_and_typed, used, named, modern, in_its_file, resources_named,
)  # fmt: skip
"""For every module; `pinned` is for the root."""
