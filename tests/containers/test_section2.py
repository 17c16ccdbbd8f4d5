"""Section 2's containers, one stack for all tests here: the database, the loader, the backup, and a restored dump."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment import ROOT, docker, wait_for

pytestmark = [pytest.mark.container]
OWNER = 4712  # of the host's folders; nobody has this number
ROLES = ["postgres", "owner", "loader", "logistics", "analytics", "sales", "grafana"]
HASHES = """
    select format('select %L, md5(coalesce(string_agg(t::text, E''\\n'' order by t::text), '''')) from %s t',
        c.oid::regclass, c.oid::regclass)
    from pg_class c where c.relkind = 'r' and c.relnamespace in ('sales'::regnamespace, 'reporting'::regnamespace)
    order by 1 \\gexec
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Stack:
    """A copy of the project with containers of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.name, self.port = folder, f"section2_test_{os.getpid()}", free_port()
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.name,
            "SECTION2_NAME": self.name,
            "SECTION2_PORT": str(self.port),
            "SECTION2_LOAD_SCHEDULE": "* * * * *",
            "SECTION2_KEEP_DUMPS": "2",
        }
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        for file in filter(None, names):
            if (ROOT / file).exists():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, folder / file, follow_symlinks=False)
        self.own(folder / "section1" / "resource")

    def own(self, folder: Path) -> None:
        """Give a folder to a user who is not root, as on most machines."""
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, OWNER, OWNER, follow_symlinks=False)

    def runner(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run section2_runner.sh."""
        done = subprocess.run(
            ["sh", "section2_runner.sh", *arguments],
            cwd=self.root,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def exec(self, container: str, *command: str, given: str = "", check: bool = True) -> str:
        """Run a command in a container; returns what it printed."""
        call = ["docker", "container", "exec", "--interactive", f"{self.name}_{container}", *command]
        done = subprocess.run(call, input=given, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def sql(self, text: str, role: str = "postgres") -> str:
        """What a statement answers, unaligned."""
        return self.exec("postgresql", "psql", "-XqAt", "-U", role, "-v", "ON_ERROR_STOP=1", given=text).strip()

    def inspect(self, container: str) -> dict[str, Any]:
        """What Docker knows of a container."""
        found: dict[str, Any] = json.loads(docker("inspect", f"{self.name}_{container}").stdout)[0]
        return found


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("section2")
    for above in (folder, folder.parent, folder.parent.parent):
        above.chmod(above.stat().st_mode | 0o011)  # Docker's daemon may be somebody else
    made = Stack(folder)
    try:
        made.runner("start")
        yield made
    finally:
        command = ["docker", "compose", "--file", "docker/section2_compose.yaml", "down", "--rmi", "local", "--volumes"]
        subprocess.run(command, cwd=folder, env=made.environment, capture_output=True, check=False)


def test_both_questions_have_answers_at_once(stack: Stack) -> None:
    manage = ["python3", "section2_manage.py", "--config", "section2_container.yaml"]
    top = stack.exec("postgresql", *manage, "query", "top10").splitlines()
    assert len(top) == 11
    assert re.match(r"1,[A-Z][a-z]+ .*,\d+\.\d\d$", top[1])
    assert len(stack.exec("postgresql", *manage, "query", "top3").splitlines()) >= 7


def test_a_plain_psql_opens_the_sales_database(stack: Stack) -> None:
    assert "sales" in stack.exec("postgresql", "bash", "-c", "psql -XAtc 'select current_database()'")
    chosen = stack.runner("psql", "logistics", "-XAtc", "select current_user, count(*) from transaction_status")
    assert chosen.stdout == "logistics|6\n"
    assert "there is no role" in stack.runner("psql", "nobody", check=False).stderr


def test_roles_are_the_committed_ones_on_this_version_too(stack: Stack) -> None:
    assert stack.sql("show server_version_num").startswith("17")
    manage = ["python3", "section2_manage.py", "--config", "section2_container.yaml", "roles"]
    assert "| object |" in stack.exec("postgresql", *manage)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_logs_in_with_its_generated_password_and_no_other(stack: Stack, role: str) -> None:
    import psycopg2

    password = (stack.root / "secrets" / "section2" / role).read_text()
    place = {"host": "127.0.0.1", "port": stack.port, "dbname": "sales", "user": role}
    psycopg2.connect(**place, password=password).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**place, password=password[:-1])


def test_grafana_reads_aggregates_only(stack: Stack) -> None:
    assert stack.sql("show statement_timeout; show default_transaction_read_only", role="grafana") == "10s\non"
    assert int(stack.sql("select sum(members) from reporting.membership", role="grafana")) > 700
    denied = stack.exec("postgresql", "psql", "-U", "grafana", "-c", "table sales.sales_transaction", check=False)
    assert "permission denied" in denied


def test_no_secret_shows(stack: Stack) -> None:
    folder = stack.root / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    shown = json.dumps([stack.inspect(one) for one in ("postgresql", "loader", "backup")])
    shown += docker("image", "history", "--no-trunc", f"{stack.name}-postgresql").stdout
    logs = "".join(
        done.stdout + done.stderr
        for one in ("postgresql", "loader", "backup")
        for done in [docker("logs", f"{stack.name}_{one}")]
    )
    for role in ROLES:
        password = (folder / "section2" / role).read_text()
        assert len(password) == 48
        assert password not in shown
        assert password not in logs
    names = stack.sql("select first_name || ' ' || last_name from sales.member where first_name <> ''").splitlines()
    assert not [name for name in names if name in logs]


@pytest.mark.parametrize("container", ["postgresql", "loader", "backup"])
def test_containers_have_no_more_rights_than_they_need(stack: Stack, container: str) -> None:
    found = stack.inspect(container)
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["SecurityOpt"] == ["no-new-privileges:true"]
    assert found["HostConfig"]["Memory"] > 0
    assert found["Config"]["User"] not in ("", "root", "0")
    assert {port["HostIp"] for ports in found["HostConfig"]["PortBindings"].values() for port in ports} <= {"127.0.0.1"}


def test_status_says_where_things_are(stack: Stack) -> None:
    told = stack.runner("status").stdout
    assert told.count("running, healthy") == 3
    assert f"{stack.root}/secrets/section2/ROLE" in told
    assert f"127.0.0.1:{stack.port}" in told
    assert re.search(r"members +\d+, from \d+ runs", told)


def test_a_taken_port_is_one_clear_line(stack: Stack) -> None:
    other = {"SECTION2_NAME": f"{stack.name}_b", "COMPOSE_PROJECT_NAME": f"{stack.name}_b"}
    done = stack.runner("start", check=False, **other)
    command = ["docker", "compose", "--file", "docker/section2_compose.yaml", "down", "--rmi", "local", "--volumes"]
    subprocess.run(command, cwd=stack.root, env=stack.environment | other, capture_output=True, check=False)
    assert done.returncode == 5
    assert f"port {stack.port} is taken; start with another one, for example SECTION2_PORT=" in done.stderr


def test_cron_takes_in_what_section_1_publishes(stack: Stack) -> None:
    judge = ["python3", "section1_manage.py", "run"]
    rows = "".join(f"Nora Test{n},nora.{n}@example.com,1970-01-01,9{n:07}\n" for n in range(40))
    arrived = stack.root / "section1" / "resource" / "src" / "application" / "late.csv"
    arrived.write_text("name,email,date_of_birth,mobile_no\n" + rows)
    environment = stack.environment | {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(judge, cwd=stack.root, env=environment, check=True, capture_output=True)
    stack.own(stack.root / "section1" / "resource")
    loaded = "select inserted, unchanged from reporting.member_load where run_id <> 'sample'"
    assert wait_for("the loader's minute", lambda: stack.sql(loaded)) == "40|723"
    assert stack.sql("select count(*) from sales.member where email like 'nora.%'") == "40"


def test_a_dump_restores_into_an_empty_server(stack: Stack) -> None:
    for _ in range(3):
        stack.exec("backup", "docker/section2_dump.sh")
        wait_for(
            "the next second",
            lambda: stack.exec("backup", "sh", "-c", "[ ! -e /backup/$(date -u +%Y%m%dT%H%M%SZ) ]; echo $?") == "0\n",
        )
    dumps = stack.exec("backup", "sh", "-c", "ls /backup").split()
    assert len(dumps) == 2  # SECTION2_KEEP_DUMPS
    before = stack.sql(HASHES)
    assert before.count("|") >= 8
    empty = f"{stack.name}_empty"
    try:
        docker("run", "--detach", "--name", empty, "--env", "POSTGRES_PASSWORD=only-here", "postgres:17-trixie")
        copied = stack.root / "dump"
        docker("cp", f"{stack.name}_backup:/backup/{dumps[-1]}", str(copied))
        docker("cp", str(copied), f"{empty}:/tmp/dump")
        docker("exec", "--user", "root", empty, "chmod", "-R", "a+rX", "/tmp/dump")
        ready = ["exec", empty, "pg_isready", "--quiet", "--host", "127.0.0.1"]
        wait_for("the empty server", lambda: docker(*ready, check=False).returncode == 0)
        # as the README says
        docker("exec", "--user", "postgres", empty, "psql", "-Xq", "-f", "/tmp/dump/roles.sql")
        docker(
            "exec",
            "--user",
            "postgres",
            empty,
            "pg_restore",
            "--create",
            "--dbname",
            "postgres",
            "--exit-on-error",
            "/tmp/dump/sales.dump",
        )
        restored = ["docker", "exec", "--interactive", "--user", "postgres", empty, "psql", "-XqAt", "sales"]
        done = subprocess.run(restored, input=HASHES, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == before
    finally:
        docker("rm", "--force", "--volumes", empty, check=False)


def test_stop_and_start_keep_everything(stack: Stack) -> None:
    """Last: the others' stack is stopped here."""
    before = stack.sql(HASHES)
    passwords = [(stack.root / "secrets" / "section2" / role).read_text() for role in ROLES]
    assert "the data stay" in stack.runner("stop").stdout
    assert stack.runner("status", check=False).returncode == 1
    stack.runner("start")
    assert stack.sql(HASHES) == before
    assert [(stack.root / "secrets" / "section2" / role).read_text() for role in ROLES] == passwords
    told = docker("logs", f"{stack.name}_postgresql").stdout
    assert "migrated: nothing new" in told
