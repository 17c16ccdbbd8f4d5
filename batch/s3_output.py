"""Publishing to a store, which has no rename: readers follow a pointer object, and one PUT of it is the switch.

s3a://bucket/prefix/
    current.json                the pointer: which run readers see, where its folders are, its counts
    runs/<run_id>/...           every published run with its manifest.json
    state/                      the lock, the ledger and the metrics as of the last run; what Spark's workers write

A run is written in a local working folder, as any other; then its files go up, then the pointer, then the ledger. The
store has the truth: a run begins with the store's pointer and ledger, so that any machine may drive the next one.
"""

from __future__ import annotations

import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from batch import s3_lock
from batch.errors import BatchError, PublishError
from batch.ledger import Run, Snapshot
from batch.logs import log
from batch.publish import FOLDER_MODE, Output, write_file, writing
from batch.s3 import Store
from batch.s3_client import ConflictError
from batch.s3_url import split

POINTER = "current.json"
LEDGER = "state/ledger.sqlite"
METRICS = "state/metrics.prom"
STAGING = "state/staging/"
MANIFEST = "manifest.json"


class Pointer(msgspec.Struct, frozen=True):
    """What readers follow. `folders` and `manifest` are keys relative to the prefix that the pointer stands in."""

    run_id: str
    folders: dict[str, str]
    manifest: str
    counts: dict[str, int]


class S3Output(Output):
    """An output in a store. `folder` is the local folder in which runs are written; `minutes` is the lock's age."""

    def __init__(self, url: str, folder: Path, minutes: float) -> None:
        super().__init__(folder.joinpath(*(part for part in split(url) if part)))
        self.store = Store(url, PublishError)
        self._minutes = minutes
        self._pointer: Pointer | None = None
        self._pointer_etag = ""
        self._held: s3_lock.Held | None = None

    @property
    def address(self) -> str:
        """For people: where the output is."""
        return self.store.address

    def seen(self, name: str, file: str) -> str:
        """Where readers find a file now."""
        return self.store.url(f"runs/{self.published()}/{name}/{file}")

    @contextmanager
    def exclusive(self, label: str) -> Iterator[None]:
        """Hold the working folder's lock and the store's; begin with the store's state, and bring it up to date."""
        label = f"{label} on {socket.gethostname()}"
        with super().exclusive(label), s3_lock.exclusive(self.store, label, self._driver, self._minutes) as self._held:
            self._fetch()
            try:
                yield
            except Exception:
                try:
                    self._push()
                except BatchError as error:
                    log.error("the ledger in the store could not be brought up to date: %s", error.what)
                raise
            else:
                self._push()
            finally:
                shutil.rmtree(self.runs, ignore_errors=True)

    def look(self, *, read_only: bool = False) -> None:
        """Have the pointer and the ledger as they are in the store now, in memory only."""
        self._follow()
        found = self.store.get(LEDGER)
        self.ledger = Snapshot(self.ledger.path, found.data if found else b"")
        self._check_ledger()

    def published(self) -> str:
        """The id of the run that readers see; empty when nothing was published yet."""
        return self._pointer.run_id if self._pointer else ""

    def file(self, run_id: str, name: str) -> Path:
        """A copy of a published run's file; where the store has none, there is none."""
        path = self.folder(run_id) / name
        if not path.exists() and (found := self.store.fetched(f"runs/{run_id}/{name}")):
            with found:
                path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                with path.open("wb") as copy:
                    shutil.copyfileobj(found, copy, 1 << 20)
        return path

    def kept(self) -> set[str]:
        """The runs in the store, seen or not."""
        return set(self.store.list("runs/")[1])

    def shared(self, run_id: str) -> str:
        """Where Spark's workers, which do not see the working folder, can write during a run."""
        return self.store.url(f"{STAGING}{run_id}")

    def clean(self) -> None:
        """Remove what runs have left behind unfinished."""
        super().clean()
        if self._held is not None and self._held.mine():  # else it is another run's by now
            self.store.delete_folder(STAGING)

    @property
    def _driver(self) -> str:
        """The id of this working folder, made once."""
        path = self.state / "driver"
        if not path.exists():
            write_file(path, uuid.uuid4().hex.encode())
        return path.read_text()

    def _follow(self) -> None:
        found = self.store.get(POINTER)
        self._pointer, self._pointer_etag = None, found.etag if found else ""
        if found:
            try:
                self._pointer = msgspec.json.decode(found.data, type=Pointer)
            except msgspec.DecodeError as error:
                hint = "Put one there that names a run (see runs/), or delete it; the next run publishes a new one."
                raise PublishError("the pointer is damaged", where=self.store.url(POINTER), hint=hint) from error

    def _fetch(self) -> None:
        """Have in the working folder what is in the store, and nothing else."""
        self._follow()
        found = self.store.get(LEDGER)
        with writing(self.root):
            shutil.rmtree(self.runs, ignore_errors=True)
            self.runs.mkdir(mode=FOLDER_MODE)
            for name in ("", "-journal"):
                Path(f"{self.ledger.path}{name}").unlink(missing_ok=True)
            if found:
                write_file(self.ledger.path, found.data)
        self._check_ledger()

    def _check_ledger(self) -> None:
        """Raise PublishError where the store's ledger is damaged."""
        try:
            self.ledger.published()
        except PublishError as error:
            error.where = self.store.url(LEDGER)
            raise

    def _push(self) -> None:
        """Bring ledger and metrics in the store up to date."""
        assert self._held is not None
        self._held.check()
        for name in (LEDGER, METRICS):
            path = self.root / name
            if path.exists():
                with writing(self.root), path.open("rb") as file:
                    self.store.upload(name, file)

    def _switch(self, run: Run, staged: Path, names: list[str]) -> None:
        """Upload a staged run, its manifest first, so that what is interrupted can be told; then put the pointer."""
        folder = f"runs/{run.run_id}"
        files = sorted(path for path in staged.rglob("*") if path.is_file())
        for path in sorted(files, key=lambda path: path != staged / MANIFEST):
            with path.open("rb") as file:
                self.store.upload(f"{folder}/{path.relative_to(staged).as_posix()}", file)
        folders = {name: f"{folder}/{name}" for name in names}
        pointer = Pointer(run.run_id, folders, f"{folder}/{MANIFEST}", run.counts)
        assert self._held is not None
        self._held.check()
        data = msgspec.json.format(msgspec.json.encode(pointer)) + b"\n"
        try:
            self.store.put(POINTER, data, seen=self._pointer_etag if self._held.conditional else None)
        except ConflictError:
            self._follow()
            if self.published() != run.run_id:  # else the answer to the first of two attempts was lost
                hint = "Nothing was published here. Let one task write to this address."
                raise PublishError("somebody else has published meanwhile", where=self.address, hint=hint) from None
        self._pointer = pointer
        staged.rename(self.folder(run.run_id))

    def _discard(self, run_id: str) -> None:
        """Remove a run from the store, its manifest last, so that a crash leaves a run that can be told."""
        self.store.delete_folder(f"runs/{run_id}/", last=MANIFEST)
