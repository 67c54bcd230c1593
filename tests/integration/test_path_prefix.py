"""The service under a path prefix, behind Debian's nginx: every link, redirect, cookie and address leads back to it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

from tests.support import PROJECT
from tests.support.narrowing import match_in
from tests.support.waiting import wait_until
from webapp.lab.loadgen.signing_in import sign_in
from webapp.lab.services.debian import loader_command, unpack_packages
from webapp.lab.services.poolproof_service import AUTHORS_PASSWORD, make_environment, run_poolproof_service
from webapp.lab.services.processes import HOST, free_port, start, stop
from webapp.lab.services.service_process import ServiceSpec, run_service

PREFIX = "/deep/quiz"
ATTRIBUTES = re.compile(r'\s(?:href|src|action|formaction|data-[a-z-]+)="(/[^"]*)"')
NGINX = """
pid {folder}/pid; error_log {folder}/error.log; events {{ }}
http {{
  access_log off; {temporary}
  server {{
    listen {host}:{port};
    location {prefix}/ {{
      proxy_pass http://{host}:{upstream}{path};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Prefix {header};
    }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: int, *, removes_prefix: bool) -> Iterator[str]:
    """Run nginx before a service; yield the address of the prefix."""
    root, port = unpack_packages("nginx", "nginx"), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {folder}/{name}; " for name in names)
    values = {"folder": folder, "host": HOST, "port": port, "prefix": PREFIX, "upstream": upstream}
    path, header = ("/", PREFIX) if removes_prefix else ("", '""')
    (folder / "nginx.conf").write_text(NGINX.format(**values, temporary=temporary, path=path, header=header))
    command = [*loader_command(root, root / "usr" / "sbin" / "nginx"), "-c", str(folder / "nginx.conf")]
    process = start("nginx", [*command, "-e", str(folder / "main.log"), "-g", "daemon off;"], folder / "output")
    try:
        wait_until((folder / "pid").exists)
        yield f"http://{HOST}:{port}{PREFIX}"
    finally:
        assert stop(process, 30)


@pytest.fixture(scope="module", params=["removed by the proxy", "left in the path"])
def address(
    request: pytest.FixtureRequest,
    prepared_schema: Callable[[str, str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address under which the service is reached; it is told the prefix in each of the two forms."""
    url, folder = prepared_schema("sqlite", "prefixed"), tmp_path_factory.mktemp("prefixed")
    if request.param == "removed by the proxy":
        with (
            run_poolproof_service(url, folder, POOLPROOF_TRUSTED_PROXIES="1", POOLPROOF_WORKERS="1") as service,
            nginx(folder / "nginx", service.port, removes_prefix=True) as address,
        ):
            # A page that was kept for another prefix is not shown under this one.
            httpx2.get(f"{service.address}/quizzes/warm-up")
            yield address
        return
    port = free_port()
    settings = {"POOLPROOF_BIND": f"{HOST}:{port}", "POOLPROOF_CONSOLE_BIND": "off", "POOLPROOF_WORKERS": "1"}
    environment = make_environment(url, folder, **settings, POOLPROOF_TRUSTED_PROXIES="1", SCRIPT_NAME=PREFIX)
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
    spec = ServiceSpec("The service", command, environment, f"{PREFIX}/healthz", PROJECT)
    with run_service(spec, folder, port), nginx(folder / "nginx", port, removes_prefix=False) as address:
        yield address


def local_addresses(page: httpx2.Response) -> set[str]:
    return set(ATTRIBUTES.findall(page.text))


def check_page(client: httpx2.Client, address: str) -> httpx2.Response:
    """Get a page and all that it names; all of it is under the prefix and there."""
    page = client.get(address).raise_for_status()
    for local in local_addresses(page):
        assert local.startswith(f"{PREFIX}/"), f"{address} leads out, to {local}"
        if "/sign-out" not in local:
            assert client.get(urljoin(address, local)).status_code in {200, 302, 405}, f"{address} names {local}"
    return page


def cookie_paths(response: httpx2.Response) -> set[str]:
    return {match_in(r"Path=([^;]+)", cookie)[1] for cookie in response.headers.get_list("Set-Cookie")}


@pytest.mark.slow(reason="two services, each behind an nginx")
def test_a_player_plays_under_the_prefix(address: str) -> None:
    with httpx2.Client() as client:
        check_page(client, f"{address}/")
        for _ in range(2):
            # The second one is kept.
            quiz = check_page(client, f"{address}/quizzes/warm-up")
        action = match_in(r'action="([^"]+/start)"', quiz.text)[1]
        started = client.post(urljoin(address, action), data={"name": "Ada"})
        assert started.headers["Location"].startswith(f"{PREFIX}/attempts/")
        assert cookie_paths(started) == {f"{PREFIX}/", f"{PREFIX}/quizzes/warm-up"}
        attempt = urljoin(address, started.headers["Location"])
        page = check_page(client, attempt)
        assert f'data-api="{PREFIX}/api/v1/attempts/' in page.text
        finished = client.post(attempt, data={"action": "finish"})
        assert finished.headers["Location"].startswith(f"{PREFIX}/attempts/")
        check_page(client, attempt)


@pytest.mark.slow(reason="two services, each behind an nginx")
def test_an_author_works_under_the_prefix(address: str) -> None:
    with httpx2.Client(base_url=address) as client:
        to_sign_in = client.get("studio")
        assert to_sign_in.headers["Location"].startswith(f"{PREFIX}/sign-in?next=")
        sign_in(client, "author", AUTHORS_PASSWORD, next_page="/studio", prefix=PREFIX)
        assert {cookie.path for cookie in client.cookies.jar} == {PREFIX, f"{PREFIX}/sign-in"}
        studio = check_page(client, f"{address}/studio")
        quiz = next(local for local in local_addresses(studio) if re.search(r"/studio/quizzes/\d+$", local))
        check_page(client, urljoin(address, quiz))
        token = match_in(r'name="csrf_token"[^>]*value="([^"]+)"', studio.text)[1]
        out = client.post("sign-out", data={"csrf_token": token})
        assert out.headers["Location"] == f"{PREFIX}/"


@pytest.mark.slow(reason="two services, each behind an nginx")
def test_rest_names_addresses_under_the_prefix(address: str) -> None:
    with httpx2.Client(base_url=address) as client:
        document = client.get("api/v1/openapi.json").json()
        assert document["servers"] == [{"url": PREFIX}]
        quiz = client.get("api/v1/quizzes").json()["quizzes"][0]["id"]
        for body in ({"name": "Ada"}, {"name": "Ada\u00a0B"}):
            # The second is not for the fast path.
            started = client.post(f"api/v1/quizzes/{quiz}/attempts", json=body)
            assert started.headers["Location"].startswith(f"{PREFIX}/api/v1/attempts/")
            assert client.get(urljoin(address, started.headers["Location"])).status_code == 200
        missing = client.get("api/v1/quizzes/999999")
        assert missing.json()["type"].startswith(f"{PREFIX}/problems#")
        check_page(client, f"{address}/problems")
        check_page(client, f"{address}/docs")
        token = client.post("api/v1/tokens", json={"name": "author", "password": AUTHORS_PASSWORD}).json()["token"]
        items = client.get("api/v1/items?limit=1", headers={"Authorization": f"Bearer {token}"})
        assert items.headers["Link"].startswith(f"<{PREFIX}/api/v1/items?")


def test_nobody_but_a_trusted_proxy_says_what_the_prefix_is(
    prepared_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    lies = {"X-Forwarded-Prefix": "/evil", "SCRIPT_NAME": "/evil", "X-Script-Name": "/evil"}
    url = prepared_schema("sqlite", "unprefixed")
    with run_poolproof_service(url, tmp_path, POOLPROOF_WORKERS="1") as service:
        page = httpx2.get(f"{service.address}/", headers=lies)
        assert "/evil" not in page.text
