"""Tell somebody when a job is in trouble: once per incident, and once when it is over.

The incident is kept in a small file, so that a restart does not tell it again. Whoever calls `follow` must not be the
scheduler that is watched. What is sent holds no row, no file name and no message of a run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from batch.errors import BusyError, ConfigError
from batch.publish import write_file

PATIENCE = 10.0  # seconds for an answer
RETRY = 60.0  # seconds between two calls that fail


class Alerts(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to call: a URL that takes a POST of JSON, or a file that holds it; a command with the JSON as its input."""

    webhook: str = ""
    webhook_file: str = ""
    command: list[str] = []


class Incident(msgspec.Struct, kw_only=True):
    """Something that lasts: `since` when (UTC, ISO 8601), and why. `told` and `over` are the channels that know it."""

    since: str
    reason: str
    told: list[str] = []
    over: list[str] = []
    tried: float = 0.0


def incident(folder: Path) -> Incident | None:
    """The incident that goes on, as it was noted in a job's state folder or where that could not be written."""
    for path in reversed(_places(folder)):
        try:
            return msgspec.json.decode(path.read_bytes(), type=Incident)
        except (OSError, msgspec.DecodeError):
            continue
    return None


def follow(alerts: Alerts, root: Path, folder: Path, job: str, trouble: tuple[str, str] | None) -> list[str]:
    """Note the job's trouble (since when, why) or that there is none, and tell those who do not know it yet.

    Relative names in `alerts` start at `root`. Returns what could not be told, and why; it is tried again by a later
    call. Raises BusyError when another process does this right now, ConfigError for an address that is none.
    """
    from subprocess import SubprocessError

    channels = _channels(alerts, root)
    known = incident(folder)
    if trouble is None and known is None:
        return []
    with _alone(folder):
        known = incident(folder)
        if trouble is not None:
            known = known or Incident(since=trouble[0], reason=trouble[1])
            known.over = []
            waiting, status = [name for name in channels if name not in known.told], "unhealthy"
        elif known is not None:
            waiting, status = [name for name in channels if name in known.told and name not in known.over], "recovered"
        else:
            return []
        problems = []
        if waiting and not 0 <= time.time() - known.tried < RETRY:
            known.tried = time.time()
            _keep(folder, known)  # before anyone is called: a crash from here on calls nobody twice within a minute
            for name in waiting:
                try:
                    channels[name](_message(job, status, known))
                    (known.told if status == "unhealthy" else known.over).append(name)
                except (OSError, SubprocessError, ValueError) as error:
                    problems.append(f"the {name} was not reached: {type(error).__name__}")
            if not problems:
                waiting, known.tried = [], 0.0
        if trouble is None and not waiting:
            for path in _places(folder):
                path.unlink(missing_ok=True)
        else:
            _keep(folder, known)
        return problems


def _message(job: str, status: str, known: Incident) -> bytes:
    """The JSON that is sent; `text` is what chat services show."""
    what = "is unhealthy" if status == "unhealthy" else "has recovered; it was unhealthy"
    text = f"{job} {what} since {known.since}: {known.reason}"
    fields = {"job": job, "status": status, "since": known.since, "reason": known.reason, "text": text}
    return json.dumps(fields).encode()


def _channels(alerts: Alerts, root: Path) -> dict[str, Callable[[bytes], None]]:
    """Who is to be called, by name."""
    channels: dict[str, Callable[[bytes], None]] = {}
    if alerts.webhook or alerts.webhook_file:
        url = alerts.webhook or _address(root / alerts.webhook_file)
        if not url.startswith(("http://", "https://")):
            raise ConfigError("the webhook is not an http or https address", where=alerts.webhook_file or "alerts")
        channels["webhook"] = lambda message: _post(url, message)
    if alerts.command:
        channels["command"] = lambda message: _run(alerts.command, root, message)
    return channels


def _address(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"cannot read the webhook's address: {error.strerror}", where=str(path)) from error


def _post(url: str, message: bytes) -> None:
    import urllib.request  # here: every run reads the settings, and few call anybody

    request = urllib.request.Request(url, message, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE):
        pass


def _run(command: list[str], root: Path, message: bytes) -> None:
    import subprocess

    subprocess.run(
        command, cwd=root, input=message, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=True
    )


def _places(folder: Path) -> tuple[Path, Path]:
    """Where an incident is noted: with the job's state, else, when the disk is full, in the machine's memory."""
    import tempfile

    name = f"{folder.parent.parent.name}-{folder.parent.name}-incident.json"
    return folder / "incident.json", Path(tempfile.gettempdir()) / name


def _keep(folder: Path, known: Incident) -> None:
    noted, in_memory = _places(folder)
    data = msgspec.json.encode(known)
    try:
        write_file(noted, data)
        in_memory.unlink(missing_ok=True)
    except OSError:
        with contextlib.suppress(OSError):
            write_file(in_memory, data)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder itself, which takes no space on a full disk. Raises BusyError when another has it."""
    fd = os.open(folder if folder.is_dir() else folder.anchor, os.O_RDONLY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError("somebody is being told already") from error
        yield
    finally:
        os.close(fd)
