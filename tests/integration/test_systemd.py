"""The sample unit for systemd: read by systemd's own tools, and the service with no more rights than it leaves."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.debian_programs import find_systemd_analyze
from webapp.lab.services.poolproof_service import (
    AUTHORS_PASSWORD,
    POOLPROOF_COMMAND,
    PoolproofService,
    run_poolproof_service,
)
from webapp.settings import PROJECT_ROOT
from webapp.web.server.file_limit import MAX_CONNECTIONS, connections_for

UNIT = PROJECT_ROOT / "docs" / "deploy" / "poolproof.service"
EXPOSURE = 2.0
"""On systemd's scale from 0 to 10; a unit without hardening has 9.6."""


def settings(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def analyze(*arguments: str) -> str:
    command, environment = find_systemd_analyze()
    done = subprocess.run(
        [*command, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it stands, but for the folder of the project."""
    text = UNIT.read_text()
    assert "ExecStart=/opt/poolproof/.venv/run/bin/poolproof serve" in text
    path = tmp_path / "poolproof.service"
    path.write_text(text.replace("/opt/poolproof/.venv/run/bin/poolproof", sys.executable))
    return path


@pytest.fixture(scope="module")
def allowed() -> str:
    """The system calls that the unit allows."""
    groups: dict[str, list[str]] = {}
    for line in analyze("syscall-filter").splitlines():
        word = line.split("#")[0].strip()
        if word and not line.startswith(" "):
            groups[word] = []
        elif word:
            groups[next(reversed(groups))].append(word)

    def calls(word: str) -> set[str]:
        return set().union(*map(calls, groups[word])) if word in groups else {word}

    names = calls("@default")
    for value in settings("SystemCallFilter"):
        words = set().union(*map(calls, value.removeprefix("~").split()))
        names = names - words if value.startswith("~") else names | words
    return ",".join(sorted(names))


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which systemd hears that a service has started."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(60)
        yield heard


def test_systemd_finds_no_fault_in_the_unit(unit: Path) -> None:
    assert analyze("verify", "--man=no", str(unit)) == ""


def test_systemd_finds_little_that_the_unit_leaves_open(unit: Path) -> None:
    output = analyze("security", "--offline=yes", str(unit))
    assert float(re.findall(r"exposure level for \S+: ([\d.]+)", output)[0]) <= EXPOSURE


def test_the_unit_has_time_and_files_for_what_gunicorn_promises() -> None:
    text = (PROJECT_ROOT / "gunicorn.conf.py").read_text()
    timeout = int(re.findall(r"^graceful_timeout = (\d+)$", text, re.MULTILINE)[0])
    assert int(settings("TimeoutStopSec")[0]) > timeout
    assert connections_for(int(settings("LimitNOFILE")[0])) == MAX_CONNECTIONS
    assert settings("TimeoutStartSec") == ["infinity"]


def test_the_service_does_its_work_with_the_rights_that_the_unit_leaves_it(
    allowed: str, notified: socket.socket, prepared_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    families = ",".join(settings("RestrictAddressFamilies")[0].split())
    command = [sys.executable, "-m", "tests.support.sandboxed", allowed, families, *POOLPROOF_COMMAND, "serve"]
    one = {"POOLPROOF_WORKERS": "1", "POOLPROOF_COLLECTOR_PROCESSES": "1"}
    url = prepared_schema("sqlite", "systemd")
    instance = tmp_path / "instance"
    with run_poolproof_service(
        url, instance, PROJECT_ROOT, command, NOTIFY_SOCKET=str(notified.getsockname()), **one
    ) as service:
        assert b"READY=1" in notified.recv(1000)
        play_and_import(service)
        before = set(service.workers())
        service.reload()
        deadline = time.monotonic() + 60
        while before <= set(service.workers()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        play_and_import(service)
        with Path(f"/proc/{service.workers()[-1]}/status").open() as status:
            rights = dict(line.split(":\t", 1) for line in status)
        assert (rights["Seccomp"], int(rights["CapEff"], 16), rights["NoNewPrivs"]) == ("2\n", 0, "1\n")
    assert "Traceback" not in service.log.read_text()
    assert "PermissionError" not in service.log.read_text()


def may_mount() -> bool:
    """Say whether this account may have a view of the files of its own."""
    command = [sys.executable, "-m", "tests.support.read_only", "/proc/self", "true"]
    return subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, check=False).returncode == 0


def test_the_service_needs_to_write_in_its_own_folder_and_in_one_for_what_is_temporary(
    prepared_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    if not may_mount():
        pytest.skip("this account may not mount, not even in a namespace of its own")
    instance, temporary = tmp_path / "instance", tmp_path / "temporary"
    temporary.mkdir()
    database = instance / "poolproof.sqlite"
    instance.mkdir()
    shutil.copyfile(prepared_schema("sqlite", "systemd_files").removeprefix("sqlite:///"), database)
    view = [sys.executable, "-m", "tests.support.read_only", f"{instance}:{temporary}"]
    one = {"POOLPROOF_WORKERS": "1", "POOLPROOF_COLLECTOR_PROCESSES": "1", "TMPDIR": str(temporary)}
    with run_poolproof_service(
        f"sqlite:///{database}", instance, PROJECT_ROOT, [*view, *POOLPROOF_COMMAND, "serve"], **one
    ) as service:
        play_and_import(service)
        mounts = Path(f"/proc/{service.workers()[0]}/mounts").read_text()
        assert re.search(r" / \S+ ro,", mounts)
    assert "Traceback" not in service.log.read_text()


def play_and_import(service: PoolproofService) -> None:
    with httpx2.Client(base_url=f"{service.address}/api/v1", timeout=60, trust_env=False) as client:
        quiz = client.get("/quizzes").json()["quizzes"][0]["id"]
        attempt = client.post(f"/quizzes/{quiz}/attempts", json={"name": "Ann"}).json()["token"]
        assert client.post(f"/attempts/{attempt}/finish").status_code == 200
        signed_in = client.post("/tokens", json={"name": "author", "password": AUTHORS_PASSWORD})
        headers = {"Authorization": f"Bearer {signed_in.raise_for_status().json()['token']}"}
        file = "::one:: Two plus two? {=4 ~5}"
        assert client.post("/items/import?format=gift", content=file, headers=headers).status_code == 201
        assert client.get("/items/export", headers=headers).status_code == 200
