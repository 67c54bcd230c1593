"""The push on the real service, and a verification that fails when it has to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import httpx2
import pytest
from sqlalchemy import create_engine, text

from tests.support.commands import called_aside
from webapp.lab.loadgen.browser_model import BrowserModel, Ending, draw_traits
from webapp.lab.loadgen.player import Visit
from webapp.lab.push import verification
from webapp.lab.push.push_report import VerificationResult
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.programs import Flavour


@pytest.fixture(scope="module")
def service(
    server_flavour: Flavour, prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolproofService]:
    url = prepared_schema(server_flavour, "poolproof_push")
    with run_poolproof_service(url, tmp_path_factory.mktemp("push")) as service:
        yield service


def push(service: PoolproofService, *options: str) -> tuple[int, str, str]:
    done = called_push(service, "--users", "30", "--ramp", "0.2", "--url", service.address, *options)
    return done.returncode, done.stdout, done.stderr


def called_push(service: PoolproofService, *options: str) -> CompletedProcess[str]:
    variables = service.environment
    instance = Path(variables["POOLPROOF_INSTANCE"])
    return called_aside(variables["DATABASE_URL"], instance, "lab", "push", *options)


def test_everybody_comes_through_and_nothing_acknowledged_is_missing(service: PoolproofService) -> None:
    status, output, error = push(service, "--json")
    assert status == 0, error
    report = json.loads(output)
    assert (report["users"], report["done"], report["failed"]) == (30, 30, {})
    assert report["verification"] == {
        "answers": report["steps"]["answer"]["count"], "missing": 0, "changed": 0, "finishes": 30, "unfinished": 0
    }  # fmt: skip
    assert report["server"]["connections_at_peak"] >= 1
    # Two statements for each finish, few for each batch of answers; and no more than one for any request.
    assert report["server"]["statements"] / report["requests"] < 2


def test_the_report_is_a_page_for_people_too(service: PoolproofService) -> None:
    status, output, _ = push(service, "--processes", "2")
    assert status == 0
    assert "30 of 30 people were served to the end" in output
    assert "every one is stored as it was acknowledged" in output


def test_browsers_come_through_with_their_files_but_for_those_who_vanish(service: PoolproofService) -> None:
    status, output, error = push(service, "--browsers", "--json", "--users", "60")
    assert status == 0, error
    report = json.loads(output)
    expected = [draw_traits(BrowserModel(), number) for number in range(60)]
    vanished = sum(traits.ending is not Ending.PLAYED for traits in expected)
    assert vanished > 0
    assert (report["users"], report["done"], report["vanished"], report["failed"]) == (60, 60 - vanished, vanished, {})
    assert report["steps"]["files"]["count"] == 3 * sum(not traits.has_cached_files for traits in expected)
    assert report["verification"]["answers"] == report["steps"]["answer"]["count"]
    assert report["verification"]["missing"] == 0


def test_the_proof_fails_when_something_acknowledged_is_gone_or_changed(service: PoolproofService) -> None:
    visits = [answered(service, number) for number in range(3)]
    assert read_back(service, visits) == VerificationResult(3, missing=0, changed=0, finishes=0, unfinished=0)
    engine = create_engine(service.environment["DATABASE_URL"])
    with engine.begin() as connection:
        newest = connection.execute(text("SELECT id FROM attempt ORDER BY started_at DESC LIMIT 2")).scalars()
        deleted, changed = newest.all()
        connection.execute(text("DELETE FROM answer WHERE attempt_id = :id"), {"id": deleted})
        connection.execute(text("UPDATE answer SET chosen = 2 WHERE attempt_id = :id"), {"id": changed})
    engine.dispose()
    visits[0].is_finished = True
    broken = read_back(service, visits)
    assert broken == VerificationResult(3, missing=1, changed=1, finishes=1, unfinished=1)
    assert not broken.is_intact


def read_back(service: PoolproofService, visits: list[Visit]) -> VerificationResult:
    """Verify in a thread of its own: the browser of other tests has an event loop in this one."""
    host, port = service.address.removeprefix("http://").split(":")
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(verification.verify_acknowledged, host, int(port), visits).result()


def answered(service: PoolproofService, number: int) -> Visit:
    """A visit with one acknowledged answer, the first choice of the first question."""
    with httpx2.Client(base_url=f"{service.address}/api/v1") as client:
        quiz = client.get("/quizzes").json()["quizzes"][0]["id"]
        item = client.get(f"/quizzes/{quiz}").json()["questions"][0]["item"]
        token = client.post(f"/quizzes/{quiz}/attempts", json={"name": "Ada"}).json()["token"]
        assert client.put(f"/attempts/{token}/answers/{item}", json={"choices": [0]}).status_code == 200
    return Visit(number, token=token, acknowledged={item: 0})


def test_a_foreign_server_is_not_loaded_unless_it_is_owned(service: PoolproofService) -> None:
    done = called_push(service, "--url", "http://192.0.2.1:80")
    assert done.returncode == 2
    assert "add --yes if it is yours" in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--url", "http://127.0.0.1:1"), "The push could not be made"),
        (("--url", "https://127.0.0.1"), "takes http://host:port"),
    ],
)
def test_what_cannot_be_pushed_is_told_in_a_sentence(
    service: PoolproofService, options: tuple[str, ...], sentence: str
) -> None:
    done = called_push(service, *options)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_quiz_that_is_not_open_is_named(service: PoolproofService) -> None:
    done = called_push(service, "--url", service.address, "--quiz", "missing")
    assert done.returncode == 1
    assert "There is no open quiz missing" in done.stderr
