"""Runs one command as a whole process and gauges it with everything that it starts. Linux only."""

import ctypes
import os
import resource
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import list2cmdline

import psutil

SAMPLE_EVERY = 0.05  # seconds
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True)
class Gauge:
    """One run: wall and CPU time in seconds, peak memory of the process tree in bytes."""

    wall: float
    cpu: float
    peak: int


def gauge(command: list[str]) -> Gauge:
    """Run `command` to its end and say what it took.

    - wall: until the command itself has ended;
    - CPU: user and system time of every process of the tree, by wait4(2);
    - peak: the kernel's high-water mark (`ru_maxrss`) of the largest process or, if that is more, the largest
      sampled sum of proportional set sizes, which is taken only while there is more than one process.

    Exits with the end of the command's output when it fails.
    """
    adopt_orphans()
    stop = threading.Event()
    with tempfile.TemporaryFile() as log, ThreadPoolExecutor(1) as pool:
        sampled = pool.submit(largest_sum, stop)
        level_ground()
        begin = time.perf_counter()
        streams = [(os.POSIX_SPAWN_DUP2, log.fileno(), stream) for stream in (1, 2)]
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=streams)
        try:
            _, status, usage = os.wait4(pid, 0)
            wall = time.perf_counter() - begin
            usages = [usage, *remaining_usages()]
        finally:
            stop.set()
        if status:
            log.seek(0)
            end = log.read()[-2000:].decode(errors="replace")
            code = os.waitstatus_to_exitcode(status)
            raise SystemExit(f"{list2cmdline(command)} ended with {code}:\n{end}")
        return Gauge(
            wall=wall,
            cpu=sum(used.ru_utime + used.ru_stime for used in usages),
            peak=max(sampled.result(), max(used.ru_maxrss for used in usages) * 1024),
        )


def level_ground() -> None:
    """Leave nothing of an earlier run to this one: neither data to write, nor memory in smaller or larger pieces.

    Memory is compacted only for root. Else a run is up to a tenth slower after one contender than after another.
    """
    os.sync()
    with suppress(OSError):
        Path("/proc/sys/vm/compact_memory").write_text("1")


def adopt_orphans() -> None:
    """Become the parent of what the command leaves behind: a JVM outlives the Python that started it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def remaining_usages() -> list[resource.struct_rusage]:
    """Wait for adopted processes, so that they neither escape the count nor disturb the next run."""
    usages = []
    while True:
        try:
            usages.append(os.wait4(-1, 0)[2])
        except ChildProcessError:
            return usages


def largest_sum(stop: threading.Event) -> int:
    """The largest sum in bytes over all descendants until `stop`; 0 if there was never more than one."""
    largest = 0
    while not stop.wait(SAMPLE_EVERY):
        processes = psutil.Process().children(recursive=True)
        if len(processes) > 1:
            largest = max(largest, sum(map(proportional_size, processes)))
    return largest


def proportional_size(process: psutil.Process) -> int:
    """Bytes of memory, shared pages divided among those who share them; 0 when the process has ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
