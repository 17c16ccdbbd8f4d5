"""Atomic publishing: durable in the right order, one switch, and what is kept."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch import publish
from batch.errors import InputError, PublishError
from batch.ledger import Content, Run
from batch.publish import DurableFile, Output, write_file, writing


def published(output: Output, run_id: str, text: str = "x") -> Run:
    """Publish a run of one file."""
    run = Run(run_id=run_id, status="published", started="2022-01-01T00:00:00+00:00", seconds=1.0)
    run.contents = [Content(f"sha of {run_id}", f"{run_id}.csv")]
    staged = output.stage(run_id)
    (staged / "good").mkdir()
    with DurableFile(staged / "good" / "file") as file:
        file.write(text.encode())
    output.publish(run, staged, {}, ["good"])
    return run


@pytest.fixture
def output(tmp_path: Path) -> Output:
    made = Output(tmp_path / "out")
    made.prepare()
    return made


def test_everything_is_on_the_disk_before_the_switch(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of effects: data, manifest, folders, rename, their folder, the switch, its folder; then the ledger."""
    done = []

    def seen(name: str) -> None:
        real = getattr(os, name)

        def noted(target: int | str | Path, *more: object) -> object:
            path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.fspath(target)
            done.append((name, os.path.relpath(path, output.root)))
            return real(target, *more)

        monkeypatch.setattr(os, name, noted)

    for name in ("fsync", "rename", "replace"):
        seen(name)
    monkeypatch.setattr(output.ledger, "record", lambda *_: done.append(("record", "")))
    published(output, "a")
    staged = "state/staging/a"
    assert done == [
        ("fsync", f"{staged}/good/file"),
        ("fsync", f"{staged}/.manifest.json.partial"),
        ("replace", f"{staged}/.manifest.json.partial"),
        ("fsync", staged),
        ("fsync", staged),
        ("fsync", f"{staged}/good"),
        ("replace", ".good.partial"),
        ("fsync", "."),
        ("rename", staged),
        ("fsync", "runs"),
        ("replace", ".current.partial"),
        ("fsync", "."),
        ("record", ""),
    ]


def test_what_readers_open(output: Output) -> None:
    published(output, "a", "old")
    published(output, "b", "new")
    assert (output.root / "good" / "file").read_text() == "new"
    assert os.readlink(output.root / "good") == "current/good"
    assert os.readlink(output.current) == "runs/b"
    assert output.manifest("b")["run"]["previous"] == "a"


def test_something_else_in_the_place_of_a_name(output: Output) -> None:
    (output.root / "good").mkdir()
    with pytest.raises(PublishError, match="something else"):
        published(output, "a")
    assert not list(output.runs.iterdir())


def test_prune_goes_by_the_ledger_and_spares_what_readers_may_have_open(output: Output) -> None:
    for run_id in "edcba":  # a clock that goes backwards
        published(output, run_id)
    output.prune(3)
    assert sorted(os.listdir(output.runs)) == ["a", "b", "c"]
    output.prune(1)
    assert sorted(os.listdir(output.runs)) == ["a", "b"]
    with pytest.raises(InputError, match="not kept any more"):
        output.manifest("e")


def test_current_is_never_pruned(output: Output) -> None:
    for run_id in "abcd":
        published(output, run_id)
    os.unlink(output.current)
    os.symlink("runs/a", output.current)  # a person went back
    output.prune(2)
    assert sorted(os.listdir(output.runs)) == ["a", "c", "d"]


def test_recover_records_all_runs_in_order_after_the_ledger_was_lost(output: Output) -> None:
    for run_id in "bdac":
        published(output, run_id)
    output.prune(3)
    output.ledger.path.unlink()
    assert len(output.recover()) == 3
    assert output.ledger.published() == list("dac")
    assert output.ledger.processed(["sha of a", "sha of b"]) == {"sha of a"}
    assert output.recover() == []


def test_recover_keeps_runs_before_a_gap(output: Output) -> None:
    for run_id in "abc":
        published(output, run_id)
    output.ledger.path.unlink()
    (output.runs / "b").rename(output.root / "elsewhere")
    output.recover()
    assert output.ledger.published() == ["a", "c"]


@pytest.mark.parametrize("before", ["", "a"])
def test_recover_removes_what_no_reader_saw(output: Output, before: str) -> None:
    if before:
        published(output, before)
    published(output, "orphan")
    if before:
        os.replace(_link(output.root / "back", f"runs/{before}"), output.current)
    else:
        output.current.unlink()
    output.ledger.path.unlink()
    output.recover()
    assert os.listdir(output.runs) == [before][: len(before)]
    assert "orphan" not in output.ledger.published()


def _link(path: Path, target: str) -> Path:
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("text", [None, b"", b"{", b'{"run": 1}', b"[]"])
def test_recover_leaves_alone_what_it_does_not_know(output: Output, text: bytes | None) -> None:
    published(output, "a")
    (output.runs / "mine").mkdir()
    if text is not None:
        (output.runs / "mine" / "manifest.json").write_bytes(text)
    (said,) = output.recover()
    assert "left" in said
    assert sorted(os.listdir(output.runs)) == ["a", "mine"]


def test_write_file_takes_over_what_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / ".x.partial").write_text("half")
    write_file(tmp_path / "x", b"whole")
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) & 0o137 == 0


def test_a_large_file_goes_to_the_disk_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(publish, "SYNC_EVERY", 10)
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    with DurableFile(tmp_path / "x") as file:
        for _ in range(5):
            file.write(b"12345")
            if file._syncing:
                file._syncing.result()
    assert synced == [10, 20, 25]


@pytest.mark.parametrize("blocks", [2, 9])
def test_a_disk_that_fails_meanwhile_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    def fsync(_fd: int) -> None:
        monkeypatch.undo()  # the kernel tells of such an error once
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(publish, "SYNC_EVERY", 10)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"), DurableFile(tmp_path / "x") as file:
        for _ in range(blocks):
            file.write(b"12345")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not possible here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_names_the_file(small_disk: Path) -> None:
    with (
        pytest.raises(PublishError, match="No space left on device") as caught,
        writing(small_disk),
        DurableFile(small_disk / "x") as file,
    ):
        file.write(bytes(1 << 20))
    assert caught.value.where == str(small_disk / "x")
    assert caught.value.exit_code == 6
