"""The archive of Spark's classes: made by the first run, used by all others, made anew for another Java or Spark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from section1.class_archive import Archive
from section1.settings import ROOT


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Of a Java and a Spark that are files."""
    monkeypatch.delenv("SPARK_SUBMIT_OPTS", raising=False)
    for name in ("java", "spark"):
        (tmp_path / name).touch()
    return again(tmp_path)


def again(folder: Path) -> Archive:
    """The same as another run sees it."""
    return Archive(str(folder / "java"), str(folder / "spark"), folder / "kept")


def ended() -> subprocess.Popen[bytes]:
    """A Java that ends."""
    return subprocess.Popen(["true"])


def test_the_first_run_makes_it_and_others_use_it(archive: Archive, tmp_path: Path) -> None:
    assert archive.options() == f"-XX:ArchiveClassesAtExit={archive.partial}"
    assert again(tmp_path).options().startswith("-XX:ArchiveClassesAtExit=")  # as long as it is not whole
    archive.partial.write_bytes(b"classes")
    archive.keep(ended())
    later = again(tmp_path)
    assert later.options() == f"-XX:SharedArchiveFile={archive.file}"
    assert not later.making


@pytest.mark.parametrize("changed", ["java", "spark"])
def test_another_version_has_another_archive(changed: str, archive: Archive, tmp_path: Path) -> None:
    archive.options()
    archive.file.write_bytes(b"old")
    os.utime(tmp_path / changed, (1, 1))
    other = again(tmp_path)
    assert other.options() == f"-XX:ArchiveClassesAtExit={other.partial}"
    other.partial.write_bytes(b"new")
    other.keep(ended())
    assert [file.read_bytes() for file in (tmp_path / "kept").iterdir()] == [b"new"]


def test_a_java_that_wrote_none_changes_nothing(archive: Archive, tmp_path: Path) -> None:
    archive.options()
    archive.keep(ended())
    assert again(tmp_path).options().startswith("-XX:ArchiveClassesAtExit=")


def test_none_is_made_where_one_is_given_or_nothing_can_be_kept(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").touch()
    assert (archive.options(), archive.making) == ("", False)
    (tmp_path / "kept").unlink()
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "")
    assert (archive.options(), archive.making) == ("", False)


RUN = """
import sys
from pathlib import Path
from section1 import settings, spark_session

spark_session.COMPILED = Path(sys.argv[1])
with spark_session.session(settings.load("section1_process.yaml", [], engine="spark").settings) as spark:
    java = spark.sparkContext._jvm.java.lang.management.ManagementFactory
    print(*java.getRuntimeMXBean().getInputArguments())
"""


@pytest.mark.spark
@pytest.mark.full
def test_java_takes_what_it_has_written(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_SUBMIT_OPTS"}
    told = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(tmp_path)],
            env=environment, cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        told.append(done.stdout)
    (made,) = tmp_path.iterdir()
    assert made.stat().st_size > 50 << 20
    assert f"-XX:ArchiveClassesAtExit={tmp_path}" in told[0]
    assert f"-XX:SharedArchiveFile={made}" in told[1]
