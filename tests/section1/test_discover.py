"""Which files are new: by content, whole, and never one that somebody is still writing."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.errors import InputError
from section1 import discover as module
from section1.discover import Found, GzipError, discover, printable, unpack
from section1.reading import stamp

PATTERNS = ["*.csv", "*.csv.gz"]


def found(folder: Path) -> Found:
    return discover(folder, PATTERNS)


def test_a_file_is_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"x"))
    (tmp_path / "c.csv.gz").write_bytes(b"x")
    sources = found(tmp_path).sources
    assert [source.name for source in sources] == ["a.csv", "b.csv.gz", "c.csv.gz"]
    assert {source.sha256 for source in sources} == {hashlib.sha256(b"x").hexdigest()}
    assert [source.bytes for source in sources] == [1, len(gzip.compress(b"x")), 1]
    assert [source.stamp for source in sources] == [stamp(source.path) for source in sources]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    (tmp_path / "y.csv").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "z.csv")
    (tmp_path / ".a.csv").write_text("x")
    (tmp_path / "readme.md").write_text("x")
    assert found(tmp_path) == Found([], dict.fromkeys(["x.csv", "y.csv", "z.csv"], "is not a regular file"))


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot list the input folder: No such file"):
        found(tmp_path / "nowhere")


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND])
def test_a_file_open_for_writing_waits(tmp_path: Path, flags: int) -> None:
    (tmp_path / "x.csv").write_text("x")
    fd = os.open(tmp_path / "x.csv", flags)
    assert found(tmp_path).skipped == {"x.csv": "is still being written"}
    os.close(fd)
    assert len(found(tmp_path).sources) == 1


def test_a_file_open_for_reading_does_not_wait(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x")
    with open(tmp_path / "x.csv", "rb"):
        assert len(found(tmp_path).sources) == 1


def meanwhile(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Do something after a file was hashed and before discovery has looked at it again."""
    digest = module.digest

    def and_then(*arguments: object, **named: object) -> str:
        result = digest(*arguments, **named)  # type: ignore[arg-type]
        action()
        return result

    monkeypatch.setattr(module, "digest", and_then)


def test_a_file_that_grows_while_it_is_hashed_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text("x")
    meanwhile(monkeypatch, lambda: (tmp_path / "x.csv").write_text("xy"))
    assert found(tmp_path).skipped == {"x.csv": "is still being written"}


def test_a_file_that_is_replaced_while_it_is_hashed_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text("x")
    (tmp_path / "other").write_text("y")
    meanwhile(monkeypatch, lambda: os.replace(tmp_path / "other", tmp_path / "x.csv"))
    assert found(tmp_path).skipped == {"x.csv": "is still being written"}


def test_a_file_that_is_replaced_once_it_is_open_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text("x")
    (tmp_path / "other").write_text("y")

    def has_writer(_: int) -> bool:
        os.replace(tmp_path / "other", tmp_path / "x.csv")
        return False

    monkeypatch.setattr(module, "_has_writer", has_writer)
    assert found(tmp_path).skipped == {"x.csv": "is still being written"}


def test_a_file_that_goes_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text("x")
    meanwhile(monkeypatch, (tmp_path / "x.csv").unlink)
    assert found(tmp_path).skipped == {"x.csv": "cannot be read: No such file or directory"}


def test_where_leases_are_not_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EACCES, "not the owner")

    (tmp_path / "x.csv").write_text("x")
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with open(tmp_path / "x.csv", "a"):
        assert len(found(tmp_path).sources) == 1


def test_a_writer_that_comes_during_the_check_does_not_kill(tmp_path: Path) -> None:
    """The kernel signals the holder of a lease when another process opens the file for writing."""
    (tmp_path / "x.csv").write_text("x")
    code = """
import fcntl, os, subprocess, sys
from section1 import discover
real = fcntl.fcntl
def during(fd, command, argument=0):
    result = real(fd, command, argument)
    if command == fcntl.F_SETLEASE and argument == fcntl.F_RDLCK:
        subprocess.run([sys.executable, "-c", "import os, sys; os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)",
                        sys.argv[1]], stderr=subprocess.DEVNULL)
    return result
fcntl.fcntl = during
print(discover._has_writer(os.open(sys.argv[1], os.O_RDONLY)))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "x.csv")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode != -signal.SIGIO
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_an_unreadable_file_is_said_and_one_of_another_owner_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, mode in (("a.csv", 0o600), ("b.csv", 0o644)):
        (folder / name).write_text("x")
        (folder / name).chmod(mode)
    code = (
        "import os, sys; from section1.discover import discover; d = os.open(sys.argv[1], os.O_RDONLY);"
        "os.fchdir(d); os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        "f = discover('.', ['*']); print([s.name for s in f.sources], f.skipped)"
    )
    for place in (folder, *list(folder.parents)[:3]):
        place.chmod(0o755)
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.stdout == "['b.csv'] {'a.csv': 'cannot be read: Permission denied'}\n", done.stderr


def test_printable_names_differ_where_names_do() -> None:
    names = [
        b"a.csv",
        b"\xff.csv",
        b"\\xff.csv",
        b"\\\\xff.csv",
        "é.csv".encode(),
        b"\xe9.csv",
        b"a\nb.csv",
        b"a\\x0ab.csv",
    ]
    shown = [printable(os.fsdecode(name)) for name in names]
    assert len(set(shown)) == len(names)
    assert shown[:3] == ["a.csv", "\\xff.csv", "\\\\xff.csv"]
    assert shown[4] == "é.csv"
    assert shown[6:] == ["a\\x0ab.csv", "a\\\\x0ab.csv"]


@pytest.mark.parametrize(
    ("broken", "reason"), [(b"x", "corrupt_gzip"), (gzip.compress(b"x", mtime=0)[:-1], "corrupt_gzip")]
)
def test_a_broken_gzip_file(tmp_path: Path, broken: bytes, reason: str) -> None:
    (tmp_path / "x").write_bytes(broken)
    with open(tmp_path / "x", "rb") as file, pytest.raises(GzipError, match=reason):
        list(unpack(file, os.path.getsize(tmp_path / "x")))


def test_a_gzip_file_may_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNPACKED_FLOOR", 1 << 20)
    (tmp_path / "x").write_bytes(gzip.compress(bytes(8 << 20)))
    with open(tmp_path / "x", "rb") as file, pytest.raises(GzipError, match="gzip_too_large"):
        list(unpack(file, os.path.getsize(tmp_path / "x")))
    (tmp_path / "y").write_bytes(gzip.compress(bytes(1 << 20)))
    with open(tmp_path / "y", "rb") as file:
        assert sum(map(len, unpack(file, 1))) == 1 << 20


def test_what_can_be_done_meanwhile_is_done_only_where_much_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(b"12345")
    (tmp_path / "b.csv").write_bytes(b"12345")
    calls: list[None] = []
    for much, times in ((11, 0), (10, 1)):
        monkeypatch.setattr(module, "MUCH", much)
        found = discover(tmp_path, ["*.csv"], meanwhile=lambda: calls.append(None))
        assert (len(calls), len(found.sources)) == (times, 2)
