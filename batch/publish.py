"""Atomic publishing: readers see a whole run or the one before it, whatever happens to the writer.

<output>/
    runs/<run_id>/...           every published run with its manifest.json
    current -> runs/<run_id>    the one switch: replaced by a rename
    <name> -> current/<name>    what readers open
    state/                      lock, ledger, metrics, what is being written
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from batch import lock
from batch.errors import InputError, PublishError
from batch.ledger import Ledger, Run

if TYPE_CHECKING:
    from concurrent.futures import Future

FILE_MODE = 0o640
FOLDER_MODE = 0o750
SYNC_EVERY = 32 << 20  # bytes


class DurableFile:
    """A new file that counts what is written to it and is on the disk once it is closed.

    A large one goes there while it is written, so that there is little to wait for at the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        self._synced = 0
        self._syncing: Future[None] | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Write all of the data."""
        view = memoryview(data).cast("B")
        self.bytes += len(view)
        try:
            while len(view):
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            error.filename = str(self.path)
            raise
        if self.bytes - self._synced >= SYNC_EVERY:
            self.sync_meanwhile()

    def sync_meanwhile(self) -> None:
        """Put what was written so far on the disk, without waiting for it."""
        from concurrent.futures import ThreadPoolExecutor

        if self._syncing:
            self._syncing.result()
        disk = ThreadPoolExecutor(1)
        self._syncing = disk.submit(self._sync)
        disk.shutdown(wait=False)
        self._synced = self.bytes

    def _sync(self) -> None:
        os.fsync(self._fd)
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._syncing:
                self._syncing.result()
            if kind is None:
                os.fsync(self._fd)
        finally:
            os.close(self._fd)


class ChecksummedFile(DurableFile):
    """The same with the checksum of what was written (BLAKE3, as `b3sum` prints it: a quarter of SHA-256's time)."""

    def __init__(self, path: Path) -> None:
        from blake3 import blake3

        super().__init__(path)
        self._hash = blake3()

    def write(self, data: bytes | memoryview) -> None:
        """Write all of the data."""
        self._hash.update(data)
        super().write(data)

    @property
    def blake3(self) -> str:
        """The checksum of what was written, in hex."""
        return self._hash.hexdigest()


def write_file(path: Path, data: bytes) -> None:
    """Put a whole small file in place: readers see the old content or the new."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with DurableFile(partial) as file:
        file.write(data)
    os.replace(partial, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Report a full disk, a missing permission and the like as a PublishError about the file, or this folder."""
    try:
        yield
    except OSError as error:
        raise PublishError(
            f"reading or writing failed: {error.strerror or error}",
            where=str(error.filename or folder),
            hint="The last published outputs are still in place. Mend the folder or free some space, then run again.",
        ) from error


class Output:
    """An output folder: where its runs, its switch and its state are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs"
        self.state = root / "state"
        self.current = root / "current"
        self.ledger = Ledger(self.state / "ledger.sqlite")

    @property
    def address(self) -> str:
        """For people: where the output is."""
        return str(self.root)

    def seen(self, name: str, file: str) -> str:
        """Where readers find a file."""
        return str(self.root / name / file)

    @contextmanager
    def exclusive(self, label: str) -> Iterator[None]:
        """Hold the output's lock for the length of the block. Raises BusyError when another run has it."""
        with lock.exclusive(self.state / "run.lock", label):
            yield

    def look(self, *, read_only: bool = False) -> None:
        """Make ready for questions alone, without the lock; where there is no ledger yet, none is made."""
        self.ledger = Ledger(self.ledger.path, read_only=read_only or not self.ledger.path.exists())

    def prepare(self) -> None:
        """Make the folders. Raises PublishError where that is not possible."""
        with writing(self.root):
            for folder in (self.root, self.runs, self.state):
                if not folder.is_dir():
                    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                    sync_folder(folder.parent)

    def folder(self, run_id: str) -> Path:
        """Where a published run stands."""
        return self.runs / run_id

    def file(self, run_id: str, name: str) -> Path:
        """A file of a published run, which may not exist."""
        return self.folder(run_id) / name

    def kept(self) -> set[str]:
        """The runs that are there, seen or not."""
        return set(os.listdir(self.runs))

    def shared(self, run_id: str) -> str:
        """Where Spark's workers can write during a run; empty where they see the folders of the run itself."""
        return ""

    def clean(self) -> None:
        """Remove what runs have left behind unfinished."""
        shutil.rmtree(self.state / "staging", ignore_errors=True)

    def published(self) -> str:
        """The id of the run that readers see; empty when nothing was published yet."""
        return Path(os.readlink(self.current)).name if self.current.is_symlink() else ""

    def stage(self, run_id: str) -> Path:
        """A new folder to write a run in; readers never look there."""
        folder = self.state / "staging" / run_id
        folder.mkdir(mode=FOLDER_MODE, parents=True)
        return folder

    def manifest(self, run_id: str) -> dict[str, Any]:
        """What a published run said of itself. Raises InputError when it is no longer kept, or is damaged."""
        path = self.file(run_id, "manifest.json")
        try:
            manifest: dict[str, Any] = msgspec.json.decode(path.read_bytes())
            msgspec.convert(manifest["run"], Run)
        except FileNotFoundError as error:
            raise InputError(f"run {run_id} is not kept any more", where=str(self.folder(run_id))) from error
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise InputError(f"run {run_id} has a damaged manifest", where=str(path)) from error
        return manifest

    def publish(self, run: Run, staged: Path, manifest: dict[str, Any], names: list[str]) -> None:
        """Make a staged run the one that readers see, then record it.

        The order is: manifest, names, rename into runs/, switch, ledger. A crash before the switch leaves the old
        run in sight, a crash after it is completed by `recover`.
        """
        run.previous = self.published()
        text = msgspec.json.format(msgspec.json.encode({"run": msgspec.to_builtins(run), **manifest}))
        write_file(staged / "manifest.json", text + b"\n")
        self._switch(run, staged, names)
        self._record(run)

    def _switch(self, run: Run, staged: Path, names: list[str]) -> None:
        """Put a staged run in place and let readers see it."""
        for folder, _, _ in os.walk(staged):
            sync_folder(Path(folder))
        for name in names:
            self._link(self.root / name, f"current/{name}")
        os.rename(staged, self.folder(run.run_id))
        sync_folder(self.runs)
        self._link(self.current, f"runs/{run.run_id}")

    def _record(self, run: Run) -> None:
        """Record a published run, with the rows that it replayed as its folder tells them."""
        origins = self.file(run.run_id, "origins.csv")
        if not origins.exists():
            self.ledger.record(run)
            return
        with open(origins, newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            next(rows)
            self.ledger.record(run, ((run_id, name, int(number)) for run_id, name, number in rows))

    def _link(self, link: Path, target: str) -> None:
        if link.is_symlink() and os.readlink(link) == target:
            return
        if link.exists() and not link.is_symlink():
            raise PublishError(
                "there is something else where readers will look",
                where=str(link),
                hint="Move it away, then run again.",
            )
        partial = link.with_name(f".{link.name}.partial")
        partial.unlink(missing_ok=True)
        os.symlink(target, partial)
        os.replace(partial, link)
        sync_folder(link.parent)

    def recover(self) -> list[str]:
        """Finish or undo what interrupted runs left behind; returns what was done, for the log.

        Every run begins with this, so at most one can stand in runs/ that no reader has seen: it is not recorded, and
        the run that it was to follow is still the current one. It is removed. All others that are not recorded were
        published, and are recorded from their manifests: one after a crash, all of them after the ledger was lost.
        """
        self.clean()
        for partial in (*self.root.glob(".*.partial"), *self.state.glob(".*.partial")):
            partial.unlink(missing_ok=True)
        done, unrecorded = [], {}
        for run_id in sorted(self.kept() - set(self.ledger.published())):
            try:
                unrecorded[run_id] = msgspec.convert(self.manifest(run_id)["run"], Run)
            except InputError as error:
                done.append(f"left {self.folder(run_id)} alone: {error.what}")
        for run in self._in_order(unrecorded):
            if run.run_id != self.published() and run.previous == self.published():
                self._discard(run.run_id)
                done.append(f"removed run {run.run_id}, which was interrupted before it was published")
            else:
                self._record(run)
                done.append(f"recorded run {run.run_id}, which was published and not in the ledger")
        return done

    def _in_order(self, runs: dict[str, Run]) -> list[Run]:
        """Runs in the order in which they were published, as each names the one before; others first, by name."""
        rest, chain, run_id = dict(runs), [], self.published()
        while run := rest.pop(run_id, None):
            chain.append(run)
            run_id = run.previous
        return [*rest.values(), *reversed(chain)]

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep` published runs.

        The one that readers see always stays, and the one before it, which a slow reader may still have open.
        """
        published = self.ledger.published()
        kept = {*published[-max(keep, 2) :], self.published()}
        for run_id in sorted(self.kept() & set(published) - kept):
            self._discard(run_id)

    def _discard(self, run_id: str) -> None:
        """Remove a run: from runs/ at once, then its files, so that a crash leaves no half run there."""
        doomed = self.state / "staging" / run_id
        doomed.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
        os.rename(self.folder(run_id), doomed)
        sync_folder(self.runs)
        shutil.rmtree(doomed)
