"""An archive of the classes that Spark loads (Java's AppCDS), with which it starts in little more than half the time.

The first run with an installed Java and Spark makes it: its Java writes the archive when it ends, which takes some
seconds more. Java itself checks that an archive fits its jars and goes without one that does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from subprocess import Popen, TimeoutExpired

PATIENCE = 120  # seconds that Java may take to write it
GIVEN = "SPARK_SUBMIT_OPTS"  # who sets it has an archive already, as the image, or wants none


class Archive:
    """The archive of a Java and a Spark in a folder, as far as it is there or can be made."""

    def __init__(self, java: str, spark: str, folder: Path) -> None:
        of = "\0".join([os.path.realpath(java), str(os.stat(java).st_mtime_ns), spark, str(os.stat(spark).st_mtime_ns)])
        self.file = folder / f"spark-{hashlib.sha256(of.encode()).hexdigest()[:16]}.jsa"
        self.partial = self.file.with_suffix(f".{os.getpid()}")
        self.making = False

    def options(self) -> str:
        """What Java is told: to use the archive, to make it, or nothing."""
        if GIVEN in os.environ:
            return ""
        if self.file.exists():
            return f"-XX:SharedArchiveFile={self.file}"
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(exist_ok=True)
            self.making = os.access(self.file.parent, os.W_OK)
        return f"-XX:ArchiveClassesAtExit={self.partial}" if self.making else ""

    def keep(self, java: Popen[bytes]) -> None:
        """Keep what a Java writes that is about to end; those of other versions go."""
        with contextlib.suppress(OSError, TimeoutExpired):
            java.wait(PATIENCE)
            self.partial.replace(self.file)
        for other in self.file.parent.glob("spark-*"):
            if other != self.file:
                other.unlink(missing_ok=True)
