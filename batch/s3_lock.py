"""One run at a time, whichever machine drives it: an object that only one can put (If-None-Match).

A kernel lock dies with its holder, an object does not. So it names the working folder that it was made from: whoever
holds that folder's own lock knows that the holder is dead. A lock from elsewhere is taken over when it is too old, and
who lost his that way is told before the switch.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from batch.errors import BusyError, PublishError
from batch.logs import log
from batch.s3 import Content, Store
from batch.s3_client import ConflictError, UnconditionalError

NAME = "state/run.lock"


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock: for people, the working folder's id, and this one time of holding it."""

    label: str
    driver: str
    token: str


class Held:
    """A lock that is held; where the store knows no conditions, one that was only looked at first."""

    def __init__(self, store: Store, token: str, *, conditional: bool) -> None:
        self.store, self.token, self.conditional = store, token, conditional

    def mine(self) -> bool:
        """Whether it is still held."""
        holder = _holder(self.store.get(NAME))
        return holder is not None and holder.token == self.token

    def check(self) -> None:
        """Raise PublishError where somebody has taken the lock over."""
        if not self.mine():
            raise PublishError(
                "another run has taken over the lock, as this one held it for too long",
                where=self.store.url(NAME),
                hint="Nothing was published. Raise s3.lock_minutes in the YAML above the longest run.",
            )


@contextmanager
def exclusive(store: Store, label: str, driver: str, minutes: float) -> Iterator[Held]:
    """Hold the store's lock for the length of the block; `driver` is the id of the locked working folder.

    Raises BusyError when somebody else holds it, and for no longer than these minutes.
    """
    found = store.get(NAME)
    holder = _holder(found)
    if found is not None and (holder is None or holder.driver != driver) and found.age < 60 * minutes:
        raise _busy(store, holder, minutes)
    held = _acquire(store, Holder(label, driver, uuid.uuid4().hex), found, minutes)
    try:
        yield held
    finally:
        if held.mine():
            store.delete(NAME)


def _acquire(store: Store, wanted: Holder, found: Content | None, minutes: float) -> Held:
    data = msgspec.json.encode(wanted)
    held = Held(store, wanted.token, conditional=True)
    try:
        store.put(NAME, data, seen=found.etag if found else "")
    except ConflictError:
        if not held.mine():  # else the answer to the first of two attempts was lost
            raise _busy(store, _holder(store.get(NAME)), minutes) from None
    except UnconditionalError:
        store.put(NAME, data)
        held.conditional = False
    else:
        try:
            store.put(NAME, data, seen="")
            held.conditional = False  # it takes the condition and does not look at it
        except ConflictError:
            pass
    if not held.conditional:
        log.warning("the store knows no conditional PUT, so its lock is not safe: let one machine drive this job")
    return held


def _holder(found: Content | None) -> Holder | None:
    if found is None:
        return None
    try:
        return msgspec.json.decode(found.data, type=Holder)
    except msgspec.DecodeError:
        return None


def _busy(store: Store, holder: Holder | None, minutes: float) -> BusyError:
    return BusyError(
        f"another run is going on: {holder.label if holder else 'it has just started'}",
        where=store.url(NAME),
        hint=f"Nothing was changed. Try again when it has ended; if it died, its lock ends {minutes:g} minutes after "
        "it began.",
    )
