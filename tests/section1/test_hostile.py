"""Hostile files from end to end: nothing is lost, nothing is published twice, nothing needs much memory."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from applications import unmeasured
from hostile import BIG, CASES, GOOD, HEADER, Case, lay_out, lay_out_all, mutated, split

from section1 import job, judge, settings
from section1.discover import printable
from section1.settings import Task

ROOT = Path(__file__).parents[2]
COLUMNS = ["name", "email", "date_of_birth", "mobile_no"]
MOST_MEMORY = 256 << 20


@pytest.fixture(scope="module", autouse=True)
def statement() -> Iterator[None]:
    """The statement is the same for all folders: it is made once."""
    made = judge.statement(settings.load("section1_process.yaml", []), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "statement", lambda *_: made)
        yield


def task(folder: Path, output: Path, fallback: str = "reject") -> Task:
    loaded = settings.load("section1_process.yaml", [], source=str(folder), destination=str(output))
    dates = {name: msgspec.structs.replace(entry, fallback=fallback) for name, entry in loaded.settings.dates.items()}
    return msgspec.structs.replace(loaded, settings=msgspec.structs.replace(loaded.settings, dates=dates))


def table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    csv.field_size_limit(1 << 24)
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.reader(file, strict=True)
        header = next(rows)
        return header, [dict(zip(header, row, strict=True)) for row in rows]


def check(contents: dict[str, bytes], output: Path) -> dict[str, Any]:
    """Hold everything that a run published against the files' bytes, read by the oracle; returns the manifest."""
    current = output / "current"
    manifest: dict[str, Any] = json.loads((current / "manifest.json").read_text())
    _, accepted = table(current / "successful_application" / "applications.csv")
    _, rejected = table(current / "unsuccessful_application" / "applications.csv")
    quarantine = current / "unsuccessful_application" / "quarantine"
    index = table(quarantine / "fragments.csv")[1] if quarantine.exists() else []
    store = (quarantine / "fragments.bin").read_bytes() if quarantine.exists() else b""
    expected = []
    end = 0
    for entry in index:
        at, length = int(entry["offset"]), int(entry["length"])
        assert int(entry["stored_at"]) == end
        end += length
        assert store[end - length : end] == contents[entry["source_file"]][at : at + length], entry
    assert end == len(store)

    assert {file["name"] for file in manifest["files"]} <= contents.keys()
    for file in manifest["files"]:
        name, data = file["name"], contents[file["name"]]
        fragments = {int(entry["record_number"]): entry for entry in index if entry["source_file"] == name}
        failed = {int(row["record_number"]): row for row in rejected if row["source_file"] == name}
        assert file["bytes"] == file["header_bytes"] + file["record_bytes"] + file["fragment_bytes"] == len(data)
        assert file["accepted"] + file["rejected"] == file["records"]
        assert len(failed) == file["rejected"] == sum(row["source_file"] == name for row in rejected)
        assert len(fragments) == file["fragments"] == sum(entry["source_file"] == name for entry in index)
        if file["refused"]:
            assert [entry["reason"] for entry in fragments.values()] == [file["refused"]]
            assert list(fragments) == [0]
            continue
        header = data[: file["header_bytes"]].decode("utf-8-sig")
        names = [text.strip().lower() for text in next(csv.reader([header.strip("\r\n")]))]
        lines = dict(enumerate(split(data[file["header_bytes"] :], len(names)), 1))
        assert {n for n, line in lines.items() if line.fields is None} == fragments.keys()
        for number, line in lines.items():
            if line.fields is None:
                fragment = fragments[number]
                assert int(fragment["offset"]) == file["header_bytes"] + line.start
                assert int(fragment["length"]) == line.end - line.start
            elif number in failed:
                fields = dict(zip(names, line.fields, strict=True))
                assert [failed[number][column] for column in COLUMNS] == [fields[column] for column in COLUMNS]
                assert failed[number]["failed_rules"]
            else:
                fields = dict(zip(names, line.fields, strict=True))
                expected.append((fields["email"].strip(" "), re.sub("[ -]", "", fields["mobile_no"])))
        assert failed.keys() <= lines.keys()
    assert [(row["email"], row["mobile_no"]) for row in accepted] == expected
    return manifest


def content_of(path: Path, refused: str) -> bytes:
    """The bytes that a file's ledger counts: of a gzip file, what is packed in it."""
    data = path.read_bytes()
    broken = refused in ("corrupt_gzip", "gzip_too_large")
    return gzip.decompress(data) if path.name.lower().endswith(".gz") and not broken else data


def hold(case: Case, manifest: dict[str, Any]) -> None:
    [file] = manifest["files"]
    counts = Counter(case.fragments)
    assert file["refused"] == case.refused
    assert (file["accepted"], file["rejected"]) == (case.accepted, case.rejected)
    rules = settings.load("section1_process.yaml", []).settings.rules
    fragments = {name: n for name, n in file["reasons"].items() if name not in rules}
    assert fragments == (counts if not case.refused else {case.refused: 1})
    if case.reasons is not None:
        assert {name: n for name, n in file["reasons"].items() if name not in fragments} == case.reasons


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_crafted(case: Case, tmp_path: Path) -> None:
    path = lay_out(case, tmp_path / "in")
    output = tmp_path / "out"
    summary = job.process(task(tmp_path / "in", output, case.fallback))
    if case.skipped:
        assert summary.status == "nothing_new"
        assert summary.notices == ([f"{path.name} {case.skipped}"] if case.skipped != "-" else [])
        return
    assert summary.status == "published"
    whole = f"{printable(path.name)} is refused whole: {case.refused}; it is kept in the quarantine"
    assert summary.notices == ([whole] if case.refused else [])
    data = content_of(path, case.refused)
    manifest = check({printable(path.name): data}, output)
    hold(case, manifest)
    assert job.process(task(tmp_path / "in", output, case.fallback)).status == "nothing_new"


def test_there_are_enough_of_them() -> None:
    assert len({case.name for case in CASES + BIG}) == len(CASES + BIG) >= 60


def test_all_files_at_once(tmp_path: Path) -> None:
    laid = lay_out_all(tmp_path / "in")
    contents = {printable(path.name): content_of(path, case.refused) for path, case in laid.items()}
    job.process(task(tmp_path / "in", tmp_path / "out"))
    manifest = check(contents, tmp_path / "out")
    assert len(manifest["files"]) > 100


def test_the_same_content_counts_once(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        lay_out(Case("", HEADER + GOOD, file=name), tmp_path / "in")
    for name, level in (("c.csv.gz", 1), ("d.csv.gz", 9)):
        lay_out(Case("", gzip.compress(HEADER + GOOD, level), file=name), tmp_path / "in")
    summary = job.process(task(tmp_path / "in", tmp_path / "out"))
    assert (summary.successful, summary.unsuccessful) == (1, 0)
    assert len(summary.notices) == 3


def test_names_that_look_alike_stay_apart(tmp_path: Path) -> None:
    for name in (b"\xff.csv", b"\\xff.csv", b"\\\\xff.csv"):
        lay_out(Case("", HEADER + b"Bob,%b,1990-01-31,1\n" % name.hex().encode(), file=name), tmp_path / "in")
    job.process(task(tmp_path / "in", tmp_path / "out"))
    _, rows = table(tmp_path / "out/unsuccessful_application/applications.csv")
    assert [row["source_file"] for row in rows] == ["\\\\\\\\xff.csv", "\\\\xff.csv", "\\xff.csv"]


# As the processes that they are


def started(command: list[str], errors: Path) -> int:
    """Run a process to its end, with success; returns its peak memory in bytes.

    As the kernel counts for its address space: rusage would count that of the tests themselves in.
    """
    peak = 0
    with open(errors, "wb") as err, open(os.devnull, "wb") as nothing:
        process = subprocess.Popen(command, cwd=ROOT, stdout=nothing, stderr=err, env=unmeasured())
        while process.poll() is None:
            if found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text()):
                peak = int(found[1]) << 10
            time.sleep(0.005)
    assert process.returncode == 0, errors.read_text()[-3000:]
    assert "Traceback" not in errors.read_text()
    return peak


@pytest.mark.parametrize("case", BIG, ids=[case.name for case in BIG])
def test_big(case: Case, tmp_path: Path) -> None:
    path = lay_out(case, tmp_path / "in")
    folders = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    memory = started([sys.executable, "section1_manage.py", *folders], tmp_path / "errors")
    manifest = json.loads((tmp_path / "out/current/manifest.json").read_text())
    hold(case, manifest)
    [file] = manifest["files"]
    assert file["header_bytes"] + file["record_bytes"] + file["fragment_bytes"] == file["bytes"]
    assert path.stat().st_size == file["bytes"] or path.suffix == ".gz"
    assert (tmp_path / "out/current/unsuccessful_application/quarantine/fragments.bin").exists() == bool(
        case.fragments or case.refused
    )
    assert memory < MOST_MEMORY, f"{memory >> 20} MB"


MASS = """
import sys, pathlib
sys.path[:0] = [{root!r}, {here!r}]
import test_hostile
test_hostile.mass(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
"""


def mass(folder: Path, first: int, files: int, each: int = 200) -> None:
    """Judge this many generated files, some hundred in a run, and check each run."""
    made = judge.statement(settings.load("section1_process.yaml", []), None)
    judge.statement = lambda *_: made
    for batch in range(first, first + files, each):
        source, output = folder / f"in{batch}", folder / f"out{batch}"
        source.mkdir()
        contents = {}
        for seed in range(batch, min(batch + each, first + files)):
            contents[f"{seed}.csv"] = mutated(seed)
            (source / f"{seed}.csv").write_bytes(contents[f"{seed}.csv"])
        job.process(task(source, output))
        check(contents, output)


def generated(tmp_path: Path, first: int, files: int) -> None:
    code = MASS.format(root=str(ROOT), here=str(Path(__file__).parent))
    memory = started([sys.executable, "-c", code, str(tmp_path), str(first), str(files)], tmp_path / "errors")
    assert memory < MOST_MEMORY, f"{memory >> 20} MB"


def test_400_generated(tmp_path: Path) -> None:
    generated(tmp_path, 1, 400)


@pytest.mark.full
@pytest.mark.parametrize("first", range(100_000, 110_000, 2_000))
def test_10_000_generated(tmp_path: Path, first: int) -> None:
    generated(tmp_path, first, 2_000)


def test_a_file_that_is_still_being_written(tmp_path: Path) -> None:
    lay_out(Case("", HEADER + GOOD), tmp_path / "in")
    writer = subprocess.Popen(
        [sys.executable, "-c", "import sys; f = open(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read()",
         str(tmp_path / "in/x.csv")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        summary = job.process(task(tmp_path / "in", tmp_path / "out"))
        assert summary.status == "nothing_new"
        assert summary.notices == ["x.csv is still being written"]
        writer.communicate()
    assert job.process(task(tmp_path / "in", tmp_path / "out")).successful == 1
