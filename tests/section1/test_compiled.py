"""When the judging statement is made anew, and when the kept one serves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from small_task import Make, maker

from batch.errors import ConfigError
from section1 import judge, query
from section1.settings import ROOT, Task


@pytest.fixture
def task(tmp_path: Path) -> Make:
    """Makes small tasks."""
    return maker(tmp_path)


class Compiler:
    """Counts how often a statement is made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        made = judge._compile

        def counted(task: Task) -> judge.Statement:
            self.times += 1
            return made(task)

        monkeypatch.setattr(judge, "_compile", counted)


def test_a_statement_is_made_once_for_each_configuration(
    tmp_path: Path, task: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, cache = Compiler(monkeypatch), tmp_path / "cache"
    first = judge.statement(task(), cache)
    assert judge.statement(task(), cache) == first
    assert compiler.times == 1
    changed = judge.statement(task(rules={"name": "full_name <> 'x'"}), cache)
    assert compiler.times == 2
    assert changed != first
    assert judge.statement(task(), cache) == first
    assert compiler.times == 2, "both are kept"
    one = task()
    one.settings.parameters["words"].append("Prof")
    judge.statement(one, cache)
    assert compiler.times == 3


def test_only_the_newest_statements_are_kept(tmp_path: Path, task: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, cache = Compiler(monkeypatch), tmp_path / "cache"
    monkeypatch.setattr(judge, "KEPT", 2)
    for number in range(3):
        judge.statement(task(rules={"name": f"full_name <> '{number}'"}), cache)
        for age, kept in enumerate(sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime_ns)):
            os.utime(kept, (age + number, age + number))
    assert len(list(cache.iterdir())) == 2
    judge.statement(task(rules={"name": "full_name <> '2'"}), cache)
    assert compiler.times == 3, "the newest one is still there"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"spark": 1}', b"\xff\xfe", b"null"])
def test_a_damaged_cache_file_is_made_anew(
    tmp_path: Path, task: Make, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    compiler, cache = Compiler(monkeypatch), tmp_path / "cache"
    first = judge.statement(task(), cache)
    (kept,) = cache.iterdir()
    kept.write_bytes(content)
    assert judge.statement(task(), cache) == first
    assert compiler.times == 2
    assert judge.statement(task(), cache) == first
    assert compiler.times == 2, "the file is good again"


@pytest.mark.parametrize("module", ["judge", "query"])
def test_another_program_makes_its_own_statement(
    tmp_path: Path, task: Make, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    compiler, cache = Compiler(monkeypatch), tmp_path / "cache"
    judge.statement(task(), cache)
    newer = tmp_path / f"{module}.py"
    shutil.copy(ROOT / "section1" / f"{module}.py", newer)
    with newer.open("a") as file:
        file.write("# changed\n")
    monkeypatch.setattr({"judge": judge, "query": query}[module], "__file__", str(newer))
    judge.statement(task(), cache)
    assert compiler.times == 2


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, task: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, cache = Compiler(monkeypatch), tmp_path / "file"
    cache.write_text("")
    assert judge.statement(task(), cache) == judge.statement(task(), cache)
    assert compiler.times == 2


def test_a_bad_statement_is_never_kept(tmp_path: Path, task: Make) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(ConfigError):
        judge.statement(task("select nme from applications"), cache)
    assert not cache.exists()
