"""The pages for an application of its own: each example runs as it stands, and every setting is named."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from poolproof import AdoptSettings
from poolproof.adoption.engines import adopted_lanes
from poolproof.core.queue_pool import FairQueuePool
from poolproof.integrations.flask_cli import pool_commands
from tests.apps.sample import asgi_get
from tests.support import PROJECT
from tests.support.event_loop import run_coroutine

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
