"""The pages for an application of its own: each example runs as it stands, and every setting is named."""

from __future__ import annotations

import random
import re
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from poolproof import AdoptSettings
from poolproof.adoption.engines import adopted_lanes
from poolproof.core.queue_pool import FairQueuePool
from poolproof.integrations.flask_cli import pool_commands
from poolproof.lab.commands import LAB_COMMANDS
from poolproof.lab.loadgen.load_profile import LoadProfile
from poolproof.lab.scenario.address import Address
from poolproof.lab.scenario.description import Scenario, load_scenario
from poolproof.lab.scenario.visitor import RequestSample, Visitor
from poolproof.lab.sizing.measurements import Setting
from poolproof.lab.sizing.pool_workload import RunRequest, create_tables, run_workload
from poolproof.lab.sizing.workload import Workload, load_workload
from poolproof.lab.values import Generator
from poolproof.lab.workload_schema import open_workload_schema
from tests.apps.sample import asgi_get
from tests.support import PROJECT
from tests.support.event_loop import run_coroutine
from tests.unit.poolproof.lab.scenario.shop import serve_shop

DOCS = PROJECT / "docs"
PAGES = sorted((DOCS / "your-app").glob("*.md"))
ERROR_PAGES = ("queuepool-limit-reached.md", "too-many-connections.md", "lost-connection.md")


def examples(page: str) -> list[str]:
    text = (DOCS / "your-app" / page).read_text()
    return [code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "import" in code]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    before = {id(lane.engine) for lane in adopted_lanes()}
    made: list[dict[str, Any]] = []

    def run(code: str) -> dict[str, Any]:
        # As a file of its reader, whose annotations a framework looks up.
        (tmp_path / "example.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        names: dict[str, Any] = {"__name__": "example", "__file__": str(tmp_path / "example.py")}
        exec(compile(code, str(tmp_path / "example.py"), "exec"), names)  # noqa: S102 - our own page
        made.append(names)
        return names

    yield run
    engines = [lane.engine for lane in adopted_lanes() if id(lane.engine) not in before]
    for engine in [*engines, *(names["engine"] for names in made if "engine" in names)]:
        engine.dispose()
    for names in made:
        if (process := getattr(names.get("app"), "extensions", {}).get("poolproof")) is not None:
            process.end()


def test_the_example_of_flask_sqlalchemy_runs(run: Any) -> None:
    code, hooks = examples("flask-sqlalchemy.md")
    assert {"post_worker_init", "worker_exit"} <= set(run(hooks))
    app = run(code)["app"]
    app.testing = True
    client = app.test_client()
    assert client.get("/").text.startswith("It is 20")
    assert 'db_client_connection_max{db_client_connection_pool_name="default"} 8' in client.get("/metrics").text
    assert client.get("/pools").status_code == 404


def test_the_examples_of_sqlalchemy_alone_run(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    adopted, alone = (run(code)["engine"] for code in examples("sqlalchemy-alone.md"))
    assert 'db_client_connection_count{db_client_connection_pool_name="main"' in capsys.readouterr().out
    assert isinstance(adopted.pool, FairQueuePool)
    assert isinstance(alone.pool, FairQueuePool)


def test_the_example_of_fastapi_runs(run: Any) -> None:
    (code,) = examples("fastapi.md")
    reply = run_coroutine(asgi_get(run(code)["app"], "/"))
    assert (reply.status, reply.text[:9]) == (200, '"It is 20')


def test_the_example_of_threads_runs(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = examples("threads-and-celery.md")
    run(code)
    assert capsys.readouterr().out == "4950\n"


def files_of_the_lab(folder: Path) -> tuple[Workload, Scenario]:
    """The workload and the scenario of the page about measuring, as its reader saves them."""
    written = re.findall(r"```toml\n(.*?)```", (DOCS / "your-app" / "measure.md").read_text(), re.DOTALL)
    for name, text in zip(("orders.toml", "shop.toml"), written, strict=True):
        (folder / name).write_text(text)
    return load_workload(str(folder / "orders.toml")), load_scenario(folder / "shop.toml")


def test_the_workload_of_the_page_runs_on_postgresql(postgresql_url: URL, tmp_path: Path) -> None:
    workload, _ = files_of_the_lab(tmp_path)
    request = RunRequest(Setting(2, 4), LoadProfile(0.0, 0.5), time.monotonic())
    with open_workload_schema(postgresql_url.render_as_string(hide_password=False), makes_tables=True) as url:
        create_tables(url, workload, None)
        operations = run_workload(url, workload, None, request)
    assert len(operations) > 4
    assert [operation for operation in operations if not operation.succeeded] == []


def test_the_scenario_of_the_page_runs(tmp_path: Path) -> None:
    _, scenario = files_of_the_lab(tmp_path)

    async def visit_all(address: Address) -> list[RequestSample]:
        samples: list[RequestSample] = []
        for visit in scenario.without_think_times().visit:
            visitor = Visitor(scenario.without_think_times(), address)
            await visitor.visit(visit, random.Random(1), time.monotonic(), samples)
            visitor.close()
        return samples

    with serve_shop(tmp_path) as address:
        samples = run_coroutine(visit_all(address))
    assert [sample.result for sample in samples] == ["200", "200", "200", "303", "200", "201"]


def test_the_page_names_every_command_and_every_way_to_draw_a_value() -> None:
    page = (DOCS / "your-app" / "measure.md").read_text()
    assert [name for name in LAB_COMMANDS if f"lab {name}" not in page] == []
    assert set(re.findall(r"^\| `\{ (\w+) = ", page, re.MULTILINE)) == set(Generator.model_fields)


def test_every_setting_is_named_and_no_other() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (DOCS / "your-app.md").read_text().partition("## Settings")[2], re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == {field.name for field in fields(AdoptSettings)}


def test_every_command_is_named() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert all(f"flask pool {name}" in text for name in pool_commands.commands)


@pytest.mark.parametrize("page", ERROR_PAGES)
def test_the_page_of_an_error_begins_with_the_readers_own_app(page: str) -> None:
    text = (DOCS / page).read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "In your own app"
    assert [word in text for word in ("**Find the holder, in one minute.**", "**The one-liner", "**The line.**")] == [
        True
    ] * 3
